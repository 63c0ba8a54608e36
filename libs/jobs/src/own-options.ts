import {
  type AnyContract,
  type Duration,
  type JobRetry,
  MAX_START_WITHIN,
  type OwnOptions,
  problemWithDuration,
  problemWithRetry,
  retryPolicy,
  toMilliseconds,
} from '#define-job';
import { InputError, type JobOptions } from '#records';

/** {@link OwnOptions} as the record keeps them: times in milliseconds. */
export interface KeptOptions extends JobOptions {
  retry?: JobRetry;
  timeout?: number;
  startWithin?: number;
}

/**
 * Checks what a job is to have in place of what its contract says.
 *
 * @param contract whose deadline to start holds where the job has none. @returns undefined when it has nothing.
 * @throws InputError
 */
export function keptOptions(
  { retry, timeout, startWithin: own }: OwnOptions,
  contract?: Pick<AnyContract, 'startWithin'>,
): KeptOptions | undefined {
  const startWithin = own === undefined ? contract?.startWithin : own;
  if (retry === undefined && timeout === undefined && startWithin === undefined) return undefined;
  const kept: KeptOptions = {};
  if (retry !== undefined) {
    const isFunction = typeof Object(retry).delay === 'function';
    const problem = isFunction ? 'cannot be a function: a record holds none' : problemWithRetry(retry);
    if (problem !== undefined) throw new InputError('retry', problem.replace(/^retry:? /, ''));
    kept.retry = retry;
  }
  if (timeout !== undefined) kept.timeout = milliseconds('timeout', timeout);
  if (startWithin !== undefined)
    kept.startWithin = milliseconds('startWithin', startWithin, MAX_START_WITHIN);
  return kept;
}

/** How often a job is tried. */
export const attemptsOf = ({ retry }: AnyContract, kept?: KeptOptions | null): number =>
  (kept?.retry ? retryPolicy(kept.retry) : retry).maxAttempts;

function milliseconds(option: keyof OwnOptions, value: Duration | number, most?: Duration): number {
  const problem = problemWithDuration(option, value, most);
  if (problem !== undefined) throw new InputError(option, problem.slice(option.length).replace(/^:? /, ''));
  return toMilliseconds(value);
}
