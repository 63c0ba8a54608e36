import { z } from 'zod';
import { defineJob, encrypted, secret } from '#jobs';

/** What an app may do wrong: the refinements quote what they refuse. */
const quoting = (start: string, mark: typeof secret = secret) =>
  mark(z.string().refine((text) => text.startsWith(start), { error: ({ input }) => `"${input}" is wrong` }));

const contract = (mark: typeof secret) =>
  ({
    queue: 'leak',
    payload: z.object({
      how: z.string(),
      card: quoting('card', mark),
      nested: z.array(z.record(z.string(), quoting('card', mark))).optional(),
      login: z.object({ password: z.string() }).optional(),
    }),
    result: z.object({ voucher: quoting('voucher', mark), token: z.string() }),
    retry: [],
  }) as const;

export const Leak = defineJob({ ...contract(secret), name: 'leak.plain' });
export const LeakIsolated = defineJob({ ...contract(encrypted), name: 'leak.isolated' });
