import type { AnyContract, Duration, OwnOptions, PayloadInput } from '#define-job';

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
