import { z } from 'zod';
import { defineJob } from '#jobs';

/** The kind of job that is measured. */
export const measured = (name: string, queue: string) =>
  defineJob({
    name,
    queue,
    payload: z.object({
      /** When it was enqueued, in microseconds of the machine's monotonic clock. */
      at: z.number(),
      pad: z.string(),
    }),
    retry: ['5s', '30s'],
    timeout: '30s',
  });

/** The same in a queue of its own. */
export const measuredIn = (index: number) => measured(`bench${index}.measured`, `bench${index}`);
