import { z } from 'zod';
import { defineJob, secret } from '#jobs';

/** What an app may do wrong: the refinements quote what they refuse. */
const quoting = (start: string) =>
  secret(
    z.string().refine((text) => text.startsWith(start), { error: ({ input }) => `"${input}" is wrong` }),
  );

const contract = {
  queue: 'leak',
  payload: z.object({
    how: z.string(),
    card: quoting('card'),
    nested: z.array(z.record(z.string(), quoting('card'))).optional(),
    login: z.object({ password: z.string() }).optional(),
  }),
  result: z.object({ voucher: quoting('voucher'), token: z.string() }),
  retry: [],
} as const;

export const Leak = defineJob({ ...contract, name: 'leak.plain' });
export const LeakIsolated = defineJob({ ...contract, name: 'leak.isolated' });
