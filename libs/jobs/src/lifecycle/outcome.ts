import { maskUrl } from '#config';
import {
  type Duration,
  NonRetryableError,
  RetryAfterError,
  type RetryPolicy,
  toMilliseconds,
} from '#define-job';
import { type Known, type Settlement, type StoredError, saidBy, type Used } from '#records';
import type { JobSecrets } from '../job-secrets.js';
import { readThrown, type Thrown, toError } from '../thrown.js';

/** How an attempt ended, and what it used if it ran isolated. */
export type Outcome = { used?: Used } & (
  | { kind: 'succeeded'; result: string }
  | { kind: 'failed'; error: unknown }
  /** By its handler; or by a limit, right before it would have started. */
  | { kind: 'snoozed'; delay: Duration | number; limitedBy?: string }
  /** This worker does not know what is `needed` to run it: it waits for one that does, no longer than `ms`. */
  | { kind: 'held'; needed: Known; ms: number }
  /** Somebody cancelled the job, and its handler obeyed that. */
  | { kind: 'cancelled'; error: unknown }
  /** The worker stops before the handler was done; the attempt does not count. */
  | { kind: 'released' }
  /** The worker ends by an uncaught error, of this attempt or possibly of it. */
  | { kind: 'crashed'; error: unknown }
);

/** What follows from an outcome: what the record says, and which message goes out before the delivery is acknowledged. */
export interface Decision {
  settlement: Omit<Settlement, 'id' | 'claim'>;
  /** The next attempt goes through the retry queue of this delay. */
  retryDelay?: Duration;
  /** The job goes to its dead-letter queue for this reason. */
  deadReason?: string;
  /** What kept the policy from giving a delay; the job waits for {@link FALLBACK_DELAY} instead. */
  problem?: unknown;
}

/** When a policy's own function throws, or gives what is no delay. */
export const FALLBACK_DELAY: Duration = '1m';

/** How long the relay leaves a message to this worker, which is about to publish it. */
const PUBLISH_GRACE_MS = 5_000;
/** RetryAfterError and snooze may put a job off for this long at most. */
const MAX_DELAY_MS = 365 * 86_400_000;

/**
 * Decides what becomes of a job. A pure function: the policy of retries, all of it.
 *
 * - Succeeded, cancelled: the end.
 * - Failed with tries left: the policy's delay for this attempt, through its retry queue. Where there is no queue for it,
 *   or a `RetryAfterError` chooses its own, the record keeps the time and the relay publishes then.
 * - Failed without tries left, or with a `NonRetryableError`: a dead letter.
 * - Snoozed: as `RetryAfterError`, and the attempt does not count. Released: it does not count either.
 * - Held: as released, and its message comes when a worker lives that knows it.
 * - Crashed: the attempt does not count, but the crash does, as of any dead worker.
 *
 * @param retry when it is tried again. @param attempt the attempt that ended, from 1. @param secrets what its errors
 * must not quote.
 */
export function decide(
  outcome: Outcome,
  retry: RetryPolicy,
  attempt: number,
  secrets?: JobSecrets,
): Decision {
  switch (outcome.kind) {
    case 'succeeded':
      return { settlement: { state: 'succeeded', result: outcome.result } };
    case 'cancelled':
      return { settlement: { state: 'cancelled', error: storedError(outcome.error, secrets) } };
    case 'released':
      return { settlement: RELEASED };
    case 'held':
      return { settlement: { state: 'queued', released: true, holdFor: outcome.needed, holdMs: outcome.ms } };
    case 'crashed':
      return { settlement: { ...RELEASED, error: storedError(outcome.error, secrets) } };
    case 'snoozed': {
      const delay = boundedDelay(outcome.delay);
      const { limitedBy } = outcome;
      return {
        settlement: { state: 'scheduled', released: true, runInMs: delay, publishInMs: delay, limitedBy },
      };
    }
    case 'failed':
      return decideFailure(outcome.error, retry, attempt, secrets);
  }
}

const storedError = (error: unknown, secrets?: JobSecrets) => JSON.stringify(describeError(error, secrets));

/** The message returns to its queue when the channel closes; the relay is for a channel that is already closed. */
const RELEASED = { state: 'queued', released: true, publishInMs: PUBLISH_GRACE_MS } as const;

function decideFailure(error: unknown, retry: RetryPolicy, attempt: number, secrets?: JobSecrets): Decision {
  const described = describeError(error, secrets);
  const stored = JSON.stringify(described);
  if (attempt >= retry.maxAttempts || error instanceof NonRetryableError) {
    return {
      settlement: { state: 'dead', error: stored, publishInMs: PUBLISH_GRACE_MS },
      deadReason: saidBy(described),
    };
  }
  const retrying = { state: 'retrying', error: stored, maxAttempts: retry.maxAttempts } as const;
  const { delay, ...problem } = nextDelay(error, retry, attempt);
  const retryDelay =
    error instanceof RetryAfterError
      ? undefined
      : retry.queues.find((queue) => toMilliseconds(queue) === delay);
  if (!retryDelay) return { settlement: { ...retrying, runInMs: delay, publishInMs: delay }, ...problem };
  return {
    settlement: { ...retrying, runInMs: delay, publishInMs: delay + PUBLISH_GRACE_MS },
    retryDelay,
  };
}

/** In milliseconds. A policy that gives none must not keep the job from being tried again. */
function nextDelay(
  error: unknown,
  retry: RetryPolicy,
  attempt: number,
): { delay: number; problem?: unknown } {
  try {
    if (error instanceof RetryAfterError) return { delay: boundedDelay(error.delay) };
    return { delay: boundedDelay(retry.after(attempt, toError(readThrown(error)))) };
  } catch (problem) {
    return { delay: toMilliseconds(FALLBACK_DELAY), problem };
  }
}

const MESSAGE_BYTES = 2_048;
/** For each cause, of which there are at most 20. */
const CAUSE_BYTES = 512;
/** Enough for the frames that matter. */
const STACK_BYTES = 8_192;

/**
 * Describes a thrown value and its causes for the record: without the job's secrets and credentials in URLs, cut, and
 * valid for `jsonb`. Never throws: otherwise a job whose error cannot be read would stay `running` for ever.
 */
export function describeError(error: unknown, secrets?: Pick<JobSecrets, 'scrub'>): StoredError {
  const shown = (text: string, maxBytes: number) => storable(secrets?.scrub(text) ?? text, maxBytes);
  const told = ({ name, message, code }: Thrown, maxBytes: number) => ({
    message: shown(message || name, maxBytes),
    class: shown(name, 200),
    ...(code !== undefined && { code: shown(String(code), 200) }),
  });
  const thrown = readThrown(error);
  const causes = causesOf(thrown).map((cause) => told(cause, CAUSE_BYTES));
  return {
    ...told(thrown, MESSAGE_BYTES),
    stack: thrown.stack ? shown(thrown.stack, STACK_BYTES) : null,
    ...(causes.length > 0 && { causes }),
  };
}

const causesOf = ({ errors = [], cause }: Thrown): Thrown[] =>
  [...errors, ...(cause ? [cause] : [])].flatMap((inner) => [inner, ...causesOf(inner)]);

/** jsonb holds neither NUL nor half of a surrogate pair. */
function storable(text: string, maxBytes: number): string {
  const clean = maskUrl(text).replaceAll('\0', '\uFFFD').toWellFormed();
  if (Buffer.byteLength(clean) <= maxBytes) return clean;
  return Buffer.from(clean)
    .subarray(0, maxBytes)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}

function boundedDelay(delay: Duration | number): number {
  return Math.min(toMilliseconds(delay), MAX_DELAY_MS);
}
