import { z } from 'zod';
import { defineJob } from '#jobs';

/** The one kind of job that is measured; the built worker gets it in place of those of `libs/contracts`. */
export const Measured = defineJob({
  name: 'bench.measured',
  queue: 'bench',
  payload: z.object({
    /** When it was enqueued, in microseconds of the machine's monotonic clock. */
    at: z.number(),
    pad: z.string(),
  }),
  retry: ['5s', '30s'],
  timeout: '30s',
});
