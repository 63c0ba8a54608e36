import { type Duration, toMilliseconds } from './duration.js';

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
  /** @param delay a duration such as `90s`, or milliseconds. @throws RangeError when it is none. */
  constructor(
    readonly delay: Duration | number,
    message = `The job asked to be tried again after ${delay}`,
    options?: ErrorOptions,
  ) {
    super(message, options);
    toMilliseconds(delay);
  }
}

/** A contract, or the way in which contracts and handlers are put together, cannot be used. Stops the start. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
}
