import { z } from 'zod';
import { defineJob } from '#define-job';

/** Writes the sales of a period, summed up by day and product, as a CSV file; tells its progress. */
export const GenerateReport = defineJob({
  name: 'report.generate',
  queue: 'report',
  payload: z
    .object({ from: z.iso.date(), to: z.iso.date() })
    .refine(({ from, to }) => from <= to, { error: 'must not lie before from', path: ['to'] }),
  result: z.object({ path: z.string(), rows: z.int(), bytes: z.int() }),
  retry: ['30s', '5m'],
  timeout: '10m',
});
