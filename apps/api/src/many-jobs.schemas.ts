import { z } from 'zod';
import { jobStates } from '#records';
import { Time } from '#resources';
import { Delay, deadLetters, oneTime, Patch, PerSecond } from './requests.js';

const manyJobs = z.strictObject({
  ...deadLetters,
  from: Time.optional().describe('Ended then or later; of jobs that have not ended, enqueued'),
  to: Time.optional().describe('Before then'),
  state: z.enum(jobStates).optional(),
  ids: z.array(z.uuid()).max(10_000).optional(),
});
const FILTERS = Object.keys(manyJobs.shape);
/** What is given of a filter must be something: nobody means all jobs by nothing. */
const someOf = <Shape extends z.ZodRawShape>(shape: Shape) =>
  manyJobs
    .extend(shape)
    .refine((body) => FILTERS.some((key) => (body as Record<string, unknown>)[key] !== undefined), {
      error: `give at least one of ${FILTERS.join(', ')}`,
    });
export const CancelManyBody = someOf({});
export type CancelManyBody = z.output<typeof CancelManyBody>;
export const RescheduleManyBody = someOf({
  ...{ delay: Delay.optional(), runAt: Time.optional(), perSecond: PerSecond },
}).refine(...oneTime);
export type RescheduleManyBody = z.output<typeof RescheduleManyBody>;
export const RerunManyBody = someOf({ perSecond: PerSecond, patch: Patch });
export type RerunManyBody = z.output<typeof RerunManyBody>;
