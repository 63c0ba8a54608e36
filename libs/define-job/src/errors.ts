import { type Duration, toMilliseconds } from './duration.js';
import { retryAfter } from './retry-after.js';

/** Thrown by a handler: trying again would not help. The job becomes a dead letter at once. */
export class NonRetryableError extends Error {
  override readonly name: string = 'NonRetryableError';
}

/**
 * Thrown by a handler: the attempt failed, and the next one should come after this delay rather than the contract's,
 * for example what a server's `Retry-After` asked for. It counts as an attempt like any other failure.
 */
export class RetryAfterError extends Error {
  override readonly name = 'RetryAfterError';
  /** Milliseconds. */
  readonly delay: number;

  /**
   * @param delay a duration such as `90s`, milliseconds, or what a `Retry-After` header holds: seconds as text (`'120'`)
   *   or an HTTP date. @throws RangeError when it is none of these.
   */
  constructor(
    delay: Duration | number | (string & {}),
    message = `The job asked to be tried again after ${delay}`,
    options?: ErrorOptions,
  ) {
    super(message, options);
    const ofHeader = typeof delay === 'string' ? retryAfter(delay) : undefined;
    this.delay = ofHeader ?? toMilliseconds(delay as Duration | number);
  }
}

/** A contract, or the way in which contracts and handlers are put together, cannot be used. Stops the start. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
}
