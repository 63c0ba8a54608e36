import { z } from 'zod';

/**
 * Marks a part of a contract as secret: handlers get it as it is, and wherever the job is shown stands `[redacted]`.
 *
 * ```ts
 * payload: z.object({ user: z.string(), code: secret(z.string().length(8)) }),
 * ```
 *
 * The mark is JSON Schema's `writeOnly`, so the api's description shows it too.
 */
export const secret = <Schema extends z.ZodType>(schema: Schema): Schema =>
  schema.meta({ writeOnly: true }) as Schema;

/** Whether a schema is marked by {@link secret}. */
export const isSecret = (schema: z.core.$ZodType): boolean =>
  z.globalRegistry.get(schema)?.writeOnly === true;

/**
 * As {@link secret}, and encrypted wherever the job is stored or sent: in its record, in messages, and so in backups of
 * both. Handlers and `jobs.result` get it as it is. Needs the setting `ENCRYPTION_KEYS`.
 *
 * ```ts
 * payload: z.object({ customer: z.string(), iban: encrypted(z.string()) }),
 * ```
 */
export const encrypted = <Schema extends z.ZodType>(schema: Schema): Schema =>
  schema.meta({ writeOnly: true, 'x-encrypted': true }) as Schema;

/** Whether a schema is marked by {@link encrypted}. */
export const isEncrypted = (schema: z.core.$ZodType): boolean =>
  z.globalRegistry.get(schema)?.['x-encrypted'] === true;
