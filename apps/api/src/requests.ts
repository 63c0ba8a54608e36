import type { PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import { type Duration, toMilliseconds } from '#config';
import { MISFIT, ProblemException, text } from '#http';
import { KEY_LENGTH, MAX_DELAY_DAYS, toViolations } from '#jobs';
import { jobStates, priorities } from '#records';

/** What requests must look like, checked before anything is done. */

const Text = text(300);
const Name = text(100);

const Delay = z
  .union([z.number(), z.string()], { error: 'expected milliseconds, or a duration such as "10m"' })
  .transform((value, context) => {
    try {
      const milliseconds = toMilliseconds(value as Duration | number);
      if (milliseconds <= toMilliseconds(`${MAX_DELAY_DAYS}d`)) return milliseconds;
      context.addIssue({ code: 'custom', message: `must be at most ${MAX_DELAY_DAYS} days` });
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
    return z.NEVER;
  });

const Time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** When a job is to start, and the queue that it waits in. */
export const whenAndWhere = {
  delay: Delay.optional(),
  runAt: Time.optional(),
  queue: z.string().optional(),
};
export const notBothTimes: Parameters<z.ZodType<{ delay?: number; runAt?: Date }>['refine']> = [
  ({ delay, runAt }) => delay === undefined || runAt === undefined,
  { error: 'delay and runAt exclude each other', path: ['runAt'] },
];

export const EnqueueBody = z.strictObject({
  name: z.string().min(1),
  payload: z.unknown(),
  options: z
    .strictObject({
      ...whenAndWhere,
      priority: z.enum(priorities).optional(),
      unique: z.strictObject({ key: text(KEY_LENGTH).min(1), for: Delay.optional() }).optional(),
      next: z.unknown().optional(),
    })
    .refine(...notBothTimes)
    .optional(),
});
export type EnqueueBody = z.output<typeof EnqueueBody>;

/** One job that follows others; the one after it is checked in its turn, see `nextJobOf`. */
export const NextBody = z.strictObject({
  name: z.string().min(1),
  payload: z.unknown(),
  options: z
    .strictObject({ delay: Delay.optional(), queue: z.string().optional(), next: z.unknown().optional() })
    .optional(),
});

/** The draft asks for a quoted string (RFC 8941); bare ones are common, and taken too. */
const IdempotencyKey = z
  .string()
  .transform((text) => /^"(.*)"$/.exec(text)?.[1] ?? text)
  .pipe(z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters'))
  .optional();

/** Reads the header of that name. */
export function parseIdempotencyKey(header: string | undefined): string | undefined {
  const key = IdempotencyKey.safeParse(header);
  if (key.success) return key.data;
  throw new ProblemException(400, 'bad-idempotency-key', `Idempotency-Key ${key.error.issues[0]?.message}`);
}

export const RescheduleBody = z
  .strictObject({ delay: Delay.optional(), runAt: Time.optional() })
  .refine(({ delay, runAt }) => (delay === undefined) !== (runAt === undefined), {
    error: 'give either delay or runAt',
  });
export type RescheduleBody = z.output<typeof RescheduleBody>;

const Cursor = z
  .string()
  .transform((text) => Buffer.from(text, 'base64url').toString())
  .pipe(z.uuid({ error: 'is not a valid cursor: use the `next` of the page before' }));

/** Which dead letters are meant. */
const deadLetters = {
  queue: Name.optional(),
  name: Name.optional(),
  error: Text.min(1).optional(),
  errorForm: Text.optional(),
  from: Time.optional(),
  to: Time.optional(),
};
export const DeadLettersQuery = z.strictObject(deadLetters);
export type DeadLettersQuery = z.output<typeof DeadLettersQuery>;

export const DeadLettersBody = z.strictObject({
  ...deadLetters,
  ids: z.array(z.uuid()).max(10_000).optional(),
});
export type DeadLettersBody = z.output<typeof DeadLettersBody>;

export const ReplayBody = DeadLettersBody.extend({
  perSecond: z.number().int().min(1).max(100_000).optional(),
});
export type ReplayBody = z.output<typeof ReplayBody>;

export const ListQuery = z.strictObject({
  state: z.enum(jobStates).optional(),
  name: Name.optional(),
  queue: Name.optional(),
  batch: z.uuid().optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
  cursor: Cursor.optional(),
});
export type ListQuery = z.output<typeof ListQuery>;

/** One page of a list; a full page may have a next one. */
export function pageOf<Item extends { id: string }>(
  items: Item[],
  limit: number,
): { items: Item[]; next: string | null } {
  const last = items.length === limit ? items.at(-1) : undefined;
  return { items, next: last ? Buffer.from(last.id).toString('base64url') : null };
}

/** Checks a part of a request against a schema: `@Body(new Fits(EnqueueBody)) body: EnqueueBody`. */
export class Fits<Schema extends z.ZodType> implements PipeTransform<unknown, z.output<Schema>> {
  /** @param status the answer when it does not fit: 422 for a body, 400 for a query. */
  constructor(
    private readonly schema: Schema,
    private readonly status: 400 | 422 = 422,
  ) {}

  transform(value: unknown): z.output<Schema> {
    if (value === undefined) throw new ProblemException(400, 'no-body', 'The request has no body: send JSON');
    const checked = this.schema.safeParse(value);
    if (checked.success) return checked.data;
    throw new ProblemException(this.status, 'request-does-not-fit', MISFIT, {
      errors: toViolations(checked.error),
    });
  }
}
