import type { AnyContract, PayloadInput } from './define-job.js';
import type { Duration } from './duration.js';
import type { OwnOptions } from './own-options.js';
import type { Priority } from './states.js';

/** What a job is enqueued with beside its payload. */
export interface GivenOptions extends OwnOptions {
  /** Run no earlier than this long from now. */
  delay?: Duration | number;
  /** Run no earlier than this. */
  runAt?: Date;
  /** Wait in this queue rather than the contract's own. It must be the queue of some contract. */
  queue?: string;
  /** Where the queue has priorities; `normal` when absent. */
  priority?: Priority;
  /** What the job is found by, such as `tenant:acme`: at most 10 of at most 100 characters. Jobs that follow it have them, too. */
  tags?: readonly string[];
  /**
   * No second job of the contract with this key is enqueued while one waits or runs, nor within the time `for` after
   * it was enqueued: the first one is returned then, whatever its payload. A replay asks for the same.
   */
  unique?: { key: string; for?: Duration | number };
  /**
   * Run `delay` from now; anyone who enqueues again with the same key before that replaces the payload and the other
   * options, and the time counts from then, to `max` after the first at most: one job, and the last payload wins.
   * (The other way round, first one wins and then quiet for a time, is `unique` with `for`.)
   */
  debounce?: { key: string; delay: Duration | number; max?: Duration | number };
  /** The job that is enqueued when this one succeeds, once, and is given its result: `next: nextJob(SendEmail, mail)`. */
  next?: NextJob;
}

/** A job that is to be enqueued, with its options. Made by {@link job}. */
export interface JobToEnqueue {
  contract: AnyContract;
  payload: unknown;
  options?: GivenOptions;
}

/** Names a job to enqueue, for `jobs.enqueueAll` and `onDead`. */
export const job = <C extends AnyContract>(
  contract: C,
  payload: PayloadInput<C>,
  options?: GivenOptions,
): JobToEnqueue => ({ contract, payload, options });

/** A job that is enqueued when something else has ended well: another job, or a batch. Made by {@link nextJob}. */
export interface NextJob {
  readonly contract: AnyContract;
  readonly payload: unknown;
  readonly options: NextOptions;
}

export interface NextOptions extends OwnOptions {
  /** Run no earlier than this long after what it follows. */
  delay?: Duration | number;
  /** Wait in this queue rather than the contract's own. */
  queue?: string;
  /** Those of what it follows when absent. */
  tags?: readonly string[];
  /** The job after this one. */
  next?: NextJob;
}

/** More steps than a chain makes sense with: each carries the rest of it in its record. */
export const MAX_CHAIN = 100;

/**
 * Names the job that follows another one:
 *
 * ```ts
 * await jobs.enqueue(GenerateReport, period, {
 *   next: nextJob(SendEmail, mail, { next: nextJob(TellAccounting, { month }) }),
 * });
 * ```
 *
 * Its handler finds what it follows as `job.previous`: `GenerateReport.result.parse(job.previous?.result)`.
 */
export function nextJob<C extends AnyContract>(
  contract: C,
  payload: PayloadInput<C>,
  options: NextOptions = {},
): NextJob {
  return { contract, payload, options };
}
