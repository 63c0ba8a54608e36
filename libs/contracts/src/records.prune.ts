import { z } from 'zod';
import { defineJob } from '#define-job';

/** Deletes the records that are older than JOB_RETENTION. */
export const PruneRecords = defineJob({
  name: 'records.prune',
  queue: 'maintenance',
  payload: z.object({}),
  result: z.object({ deleted: z.record(z.string(), z.int()) }),
  retry: ['1m', '10m'],
  timeout: '2h',
});
