import { type Duration, problemWithDuration, toMilliseconds } from './duration.js';

/** Delays that grow from attempt to attempt; see {@link exponential}. It is data: a single job may have its own. */
export interface Exponential {
  /** How often the job is tried, the first time included. */
  readonly attempts: number;
  /** How long to wait before the second attempt. */
  readonly first: Duration;
  /** How many times as long each delay is as the one before; 2 when absent. */
  readonly factor?: number;
  /** No delay is longer; `1d` when absent. */
  readonly max?: Duration;
  /** Each delay is longer or shorter by a random part of it, of this size at most: from 0 to 1; 0 when absent. */
  readonly jitter?: number;
}

/** Delays by a function of one's own. */
export interface OwnRetry {
  /** How often the job is tried, the first time included. */
  readonly attempts: number;
  /**
   * How long to wait after an attempt has failed, as a duration or in milliseconds.
   *
   * @param attempt the one that failed, from 1. @param error what it threw, by name, message, code and cause: its class is lost.
   */
  readonly delay: (attempt: number, error: Error) => Duration | number;
}

/** How a single job may be tried again: it is kept in its record, which holds no function. */
export type JobRetry = readonly Duration[] | Exponential;
/** How jobs of a contract are tried again: after each of some delays, after delays that grow, or by a function. */
export type Retry = JobRetry | OwnRetry;

/** When a failed job is tried again. */
export interface RetryPolicy {
  /** What it was made of. */
  readonly given: Retry;
  readonly maxAttempts: number;
  /** The delays that go through a retry queue. The record keeps jobs for the others. */
  readonly queues: readonly Duration[];
  /**
   * Milliseconds to wait after an attempt.
   *
   * @param attempt the one that failed, below {@link maxAttempts}. @throws whatever a function of one's own makes go wrong.
   */
  after(attempt: number, error: Error): number;
}

const FACTOR = 2;
const MAX: Duration = '1d';
/** Every failed attempt is kept in the record. */
const MAX_ATTEMPTS = 1_000;

/**
 * Has a job tried again after delays that grow: `exponential({ attempts: 8, first: '5s', max: '1h', jitter: 0.2 })` waits
 * for about 5 s, 10 s, 20 s and so on. With `jitter`, jobs that failed together do not come back together.
 */
export const exponential = ({
  attempts,
  first,
  factor = FACTOR,
  max = MAX,
  jitter = 0,
}: Exponential): Exponential => ({ attempts, first, factor, max, jitter });

/** Makes the policy of what {@link problemWithRetry} finds nothing wrong with. */
export function retryPolicy(retry: Retry): RetryPolicy {
  if (isList(retry))
    return {
      given: retry,
      maxAttempts: retry.length + 1,
      queues: retry,
      after: (attempt) => toMilliseconds(retry[attempt - 1] as Duration),
    };
  const after = isOwn(retry) ? ownDelay(retry) : growingDelay(retry);
  return { given: retry, maxAttempts: retry?.attempts, queues: [], after };
}

function growingDelay(growth: Exponential): RetryPolicy['after'] {
  return (attempt) => {
    const { first, factor = FACTOR, max = MAX, jitter = 0 } = growth;
    const maxMs = toMilliseconds(max);
    const delay = Math.min(toMilliseconds(first) * factor ** (attempt - 1), maxMs);
    const shortest = delay * (1 - jitter);
    const longest = Math.min(delay * (1 + jitter), maxMs);
    return Math.round(shortest + Math.random() * (longest - shortest));
  };
}

function ownDelay(own: OwnRetry): RetryPolicy['after'] {
  return (attempt, error) => {
    const given: unknown = own.delay(attempt, error);
    if (isPromise(given)) {
      given.then(undefined, () => {});
      throw new TypeError('It gave a promise: it must not be asynchronous');
    }
    return toMilliseconds(given as Duration | number);
  };
}

/** What is wrong with a policy of retries, which may be anything, if something is: it begins with the name of what it is. */
export function problemWithRetry(retry: unknown): string | undefined {
  if (isList(retry)) {
    if (retry.length >= MAX_ATTEMPTS) return `retry must have fewer than ${MAX_ATTEMPTS} delays`;
    return retry.map((delay) => problemWithDuration('retry', delay)).find(Boolean);
  }
  const {
    attempts,
    delay,
    first,
    factor = FACTOR,
    max = MAX,
    jitter = 0,
  } = Object(retry) as Record<string, unknown>;
  if (delay === undefined && first === undefined)
    return 'retry must be a list of delays such as ["5s", "1m"], exponential({ attempts, first }) or { attempts, delay: (attempt, error) => … }';
  if (!Number.isInteger(attempts) || Number(attempts) < 1 || Number(attempts) > MAX_ATTEMPTS)
    return `retry: attempts must be a whole number from 1 to ${MAX_ATTEMPTS}, not ${shown(attempts)}`;
  if (delay !== undefined)
    return typeof delay === 'function' ? undefined : 'retry: delay must be a function (attempt, error) => …';
  const isFactor = typeof factor === 'number' && Number.isFinite(factor) && factor >= 1;
  const isJitter = typeof jitter === 'number' && jitter >= 0 && jitter <= 1;
  return (
    problemWithDuration('retry: first', first) ??
    problemWithDuration('retry: max', max) ??
    (isFactor ? undefined : `retry: factor must be a number from 1 on, not ${shown(factor)}`) ??
    (isJitter ? undefined : `retry: jitter must be a number from 0 to 1, not ${shown(jitter)}`) ??
    (toMilliseconds(first as Duration) > toMilliseconds(max as Duration)
      ? `retry: first (${first}) must not be longer than max (${max})`
      : undefined)
  );
}

const isList = (value: unknown): value is readonly Duration[] => Array.isArray(value);
const isOwn = (value: Exponential | OwnRetry): value is OwnRetry =>
  (value as OwnRetry | null)?.delay !== undefined;
/** Whether a function that must not be asynchronous gave a promise. */
export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null)?.then === 'function';
const shown = (value: unknown) => (typeof value === 'number' ? value : JSON.stringify(value));
