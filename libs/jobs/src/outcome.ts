import { type Duration, maskUrl, toMilliseconds } from '#config';
import type { Settlement } from '#records';
import { NonRetryableError, RetryAfterError } from './errors.js';
import type { Secrets } from './secrets.js';

/** How one attempt ended. */
export type Outcome =
  | { kind: 'succeeded'; result: string }
  | { kind: 'failed'; error: unknown }
  | { kind: 'snoozed'; delay: Duration | number }
  /** Somebody cancelled the job, and its handler heeded that. */
  | { kind: 'cancelled'; error: unknown }
  /** The worker stops before the handler was done; the attempt does not count. */
  | { kind: 'givenBack' }
  /** The worker ends by an error that nobody caught, of this attempt or, as far as is known, of any. */
  | { kind: 'lost'; error: unknown };

/** What follows from an outcome: what the record says, and which message goes out before the delivery is acknowledged. */
export interface Decision {
  settlement: Omit<Settlement, 'id' | 'claim'>;
  /** The next attempt goes through the retry queue of this delay. */
  retryDelay?: Duration;
  /** The job goes to its dead-letter queue for this reason. */
  deadReason?: string;
}

/** How long the relay leaves a message alone that this worker is about to publish itself. */
const PUBLISH_GRACE_MS = 5_000;
/** RetryAfterError and snooze may put a job off for this long at most. */
const MAX_DELAY_MS = 365 * 86_400_000;

/**
 * Decides what becomes of a job. A pure function: the policy of retries, all of it.
 *
 * - Succeeded, cancelled: the end.
 * - Failed with tries left: the contract's delay for this attempt, through its retry queue. A `RetryAfterError`
 *   chooses its own delay, for which there is no queue: the record keeps the time and the relay publishes then.
 * - Failed without tries left, or with a `NonRetryableError`: a dead letter.
 * - Snoozed: as `RetryAfterError`, and the attempt does not count. Given back: it does not count either.
 * - Lost: it does not count, but the loss does, as of any worker that is gone.
 *
 * @param retry the contract's delays. @param attempt the attempt that ended, from 1. @param secrets what its errors
 * must not quote.
 */
export function decide(
  outcome: Outcome,
  retry: readonly Duration[],
  attempt: number,
  secrets?: Secrets,
): Decision {
  switch (outcome.kind) {
    case 'succeeded':
      return { settlement: { state: 'succeeded', result: outcome.result } };
    case 'cancelled':
      return {
        settlement: { state: 'cancelled', error: JSON.stringify(describeError(outcome.error, secrets)) },
      };
    case 'givenBack':
      // The message goes back to its queue by itself, unless its channel is long gone.
      return { settlement: { state: 'queued', givenBack: true, publishInMs: PUBLISH_GRACE_MS } };
    case 'lost':
      return {
        settlement: {
          ...{ state: 'queued', givenBack: true, publishInMs: PUBLISH_GRACE_MS },
          error: JSON.stringify(describeError(outcome.error, secrets)),
        },
      };
    case 'snoozed': {
      const delay = boundedDelay(outcome.delay);
      return { settlement: { state: 'scheduled', givenBack: true, runInMs: delay, publishInMs: delay } };
    }
    case 'failed': {
      const { error } = outcome;
      const described = describeError(error, secrets);
      const stored = JSON.stringify(described);
      const next = retry[attempt - 1];
      if (next === undefined || error instanceof NonRetryableError) {
        return {
          settlement: { state: 'dead', error: stored, publishInMs: PUBLISH_GRACE_MS },
          deadReason: described.message,
        };
      }
      if (error instanceof RetryAfterError) {
        const delay = boundedDelay(error.delay);
        return { settlement: { state: 'retrying', error: stored, runInMs: delay, publishInMs: delay } };
      }
      const delay = toMilliseconds(next);
      return {
        settlement: {
          state: 'retrying',
          error: stored,
          runInMs: delay,
          publishInMs: delay + PUBLISH_GRACE_MS,
        },
        retryDelay: next,
      };
    }
  }
}

/** An error as the record keeps it. */
export interface StoredError {
  message: string;
  class: string;
  stack: string | null;
}

const MESSAGE_BYTES = 2_048;
/** Enough for the frames that matter; a thousand failing jobs must not fill the database with stacks. */
const STACK_BYTES = 8_192;

/**
 * Puts whatever was thrown into a form that can be stored: without the job's secrets and credentials in URLs, cut, and
 * fit for `jsonb`.
 * Never throws: a job whose error cannot be read would stay as running for ever.
 */
export function describeError(error: unknown, secrets?: Pick<Secrets, 'scrub'>): StoredError {
  const shown = (text: string) => secrets?.scrub(text) ?? text;
  try {
    const { name, message, stack } = error instanceof Error ? error : new Error(textOf(error));
    const className =
      error instanceof Error ? String(name !== 'Error' ? name : error.constructor.name) : typeof error;
    return {
      message: storable(shown(String(message)) || className, MESSAGE_BYTES),
      class: storable(className, 200),
      stack: error instanceof Error && stack ? storable(shown(String(stack)), STACK_BYTES) : null,
    };
  } catch {
    return { message: 'What was thrown cannot be read', class: 'unknown', stack: null };
  }
}

/** jsonb holds neither NUL nor half of a surrogate pair. */
function storable(text: string, maxBytes: number): string {
  const clean = maskUrl(text).replaceAll('\0', '\uFFFD').toWellFormed();
  if (Buffer.byteLength(clean) <= maxBytes) return clean;
  return Buffer.from(clean)
    .subarray(0, maxBytes)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
}

function textOf(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  const { message } = (thrown ?? {}) as { message?: unknown };
  if (typeof message === 'string') return message;
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return String(thrown);
  }
}

function boundedDelay(delay: Duration | number): number {
  return Math.min(toMilliseconds(delay), MAX_DELAY_MS);
}
