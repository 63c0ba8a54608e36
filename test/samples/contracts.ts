import { z } from 'zod';
import { defineJob, secret } from '#jobs';

/**
 * What tests enqueue: kinds of job of their own, beside those of the clone. The built api and worker that tests start
 * know both (`test/support/apps-with.ts`), so a clone's contracts may come, go and change, and no test minds.
 */

/** Fails on its first attempts, as many as asked for. */
export const SampleFlaky = defineJob({
  name: 'sample.flaky',
  queue: 'sample-flaky',
  payload: z.object({ failures: z.int().min(0).max(100) }),
  result: z.object({ attempts: z.int() }),
  retry: ['1s', '2s', '4s'],
  timeout: '10s',
});

/** Lasts until who listens at the URL answers: see `test/support/receiver.ts`. */
export const SampleCall = defineJob({
  name: 'sample.call',
  queue: 'sample-call',
  payload: z.object({ url: z.url().max(2_000), type: z.string().min(1), data: z.json() }),
  result: z.object({ status: z.int() }),
  retry: ['5s', '30s'],
  timeout: '30s',
});

/** Has what payloads are checked for, and a secret. */
export const SampleMail = defineJob({
  name: 'sample.mail',
  queue: 'sample-mail',
  payload: z.object({ to: z.email(), subject: z.string().max(200), text: secret(z.string()) }),
  result: z.object({ messageId: z.string() }),
  retry: ['5s', '30s', '2m', '10m'],
  timeout: '30s',
});

/** Has lists and defaults in its payload. */
export const SamplePicture = defineJob({
  name: 'sample.picture',
  queue: 'sample-picture',
  payload: z.object({
    source: z.string().min(1).max(2_000),
    widths: z.array(z.int().min(1).max(8_000)).min(1).max(10),
    format: z.enum(['jpeg', 'png']).default('png'),
  }),
  retry: ['5s', '1m'],
  timeout: '2m',
});

/** Has dates in its payload. */
export const SampleReport = defineJob({
  name: 'sample.report',
  queue: 'sample-report',
  payload: z.object({ from: z.iso.date(), to: z.iso.date() }),
  retry: ['30s', '5m'],
  timeout: '10m',
});

/** By the clock. */
export const SampleNightly = defineJob({
  name: 'sample.nightly',
  queue: 'sample-nightly',
  payload: z.object({}),
  retry: ['1m'],
  timeout: '1m',
});
