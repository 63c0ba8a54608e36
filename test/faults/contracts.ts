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
/** Which code a process runs: 1 to 6, as six deploys would bring it one after the other. */
const deployed = Number(process.env.FAULTS_VERSION ?? 1);
/** Each version has its own number in payloads and results. */
const versioned = { ...numbered, version: z.literal(deployed) };
const steps = Object.fromEntries(
  Array.from({ length: deployed - 1 }, (_, index) => [
    index + 1,
    (old: object) => ({ ...old, version: index + 2 }),
  ]),
);

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

/** Changes with each version. Some fail in their first attempt. */
export const VersionedLedger = defineJob({
  name: 'ledger.versioned',
  queue: 'ledger',
  payload: z.object(versioned),
  result: z.object(versioned),
  version: deployed,
  upgrade: steps,
  upgradeResult: steps,
  retry,
  timeout,
});

/** Follows one of those, and reads its result. */
export const FollowingLedger = defineJob({
  name: 'ledger.following',
  queue: 'slow',
  payload: z.object(numbered),
  retry,
  timeout,
});

/** Has another name from the second version on. */
export const RenamedLedger = defineJob({
  name: deployed === 1 ? 'ledger.before' : 'ledger.after',
  renamedFrom: deployed === 1 ? [] : 'ledger.before',
  queue: 'ledger',
  payload: z.object(numbered),
  retry,
  timeout,
});

/** By the clock. */
export const TickLedger = defineJob({
  name: 'ledger.tick',
  queue: 'ledger',
  payload: z.object(numbered),
  version: deployed,
  upgrade: steps,
  retry,
  timeout,
});
