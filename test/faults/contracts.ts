import { z } from 'zod';
import { defineJob } from '#jobs';

/**
 * The kinds of job that the fault suite runs. The built api, worker and scripts get them beside those of
 * `libs/contracts`; see `test/support/apps-with.ts`. Each writes the ledger when it starts and when it has done its work.
 */
const numbered = { n: z.int() };
/** Short delays: what is tested is that retries survive, not how long they wait. */
const retry = ['1s', '1s', '1s'] as const;
const timeout = '5m';

/** Done at once. */
export const WriteLedger = defineJob({
  name: 'ledger.write',
  queue: 'ledger',
  payload: z.object(numbered),
  retry,
  timeout,
});

/** Done at once and written nowhere: there may be a million of these, which no ledger could hold. */
export const UnwrittenLedger = defineJob({
  name: 'ledger.unwritten',
  queue: 'ledger',
  payload: z.object(numbered),
  retry,
  timeout,
});

/** Fails in its first attempt, so its second comes through a retry queue. */
export const FlakyLedger = defineJob({
  name: 'ledger.flaky',
  queue: 'ledger',
  payload: z.object(numbered),
  retry,
  timeout,
});

/** Kills its worker each time. It shares its queue with jobs that must not suffer for it. */
export const CrashLedger = defineJob({
  name: 'ledger.crash',
  queue: 'ledger',
  payload: z.object({ ...numbered, how: z.enum(['exit', 'memory', 'rejection']) }),
  retry,
  timeout,
});

/** Takes its time, and obeys its signal. */
export const SlowLedger = defineJob({
  name: 'ledger.slow',
  queue: 'slow',
  payload: z.object({ ...numbered, ms: z.int() }),
  retry,
  timeout,
});

/** Blocks the event loop of its worker. */
export const BlockingLedger = defineJob({
  name: 'ledger.block',
  queue: 'slow',
  payload: z.object({ ...numbered, ms: z.int() }),
  retry,
  timeout,
});

/** Never ends and ignores its signal, in a worker with the environment variable FAULTS_ENDLESS; elsewhere it is quick. */
export const EndlessLedger = defineJob({
  name: 'ledger.endless',
  queue: 'slow',
  payload: z.object(numbered),
  retry,
  timeout,
});
