import { z } from 'zod';
import { defineJob } from '#define-job';

/** Fails on its first attempts, as many as asked for: 1 to 3 show retries, more make a dead letter. */
export const DemoFlaky = defineJob({
  name: 'demo.flaky',
  queue: 'demo',
  payload: z.object({ failures: z.int().min(0).max(100) }),
  result: z.object({ attempts: z.int() }),
  retry: ['1s', '2s', '4s'],
  timeout: '10s',
});
