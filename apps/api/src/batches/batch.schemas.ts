import { z } from 'zod';
import { Next, notBothTimes, whenWhereAndHow } from '../requests.js';

const MAX_PAYLOADS = 10_000;

export const BatchBody = z.strictObject({
  name: z.string().min(1),
  payloads: z
    .array(z.unknown())
    .max(MAX_PAYLOADS, `holds more than ${MAX_PAYLOADS}: make several batches`)
    .describe('What one must look like, `POST /jobs` says'),
  options: z
    .strictObject(whenWhereAndHow)
    .refine(...notBothTimes)
    .optional(),
  onComplete: Next.describe('Enqueued once, when every job has ended'),
  onSuccess: Next.describe('Enqueued once, when every job has succeeded'),
});
export type BatchBody = z.output<typeof BatchBody>;
