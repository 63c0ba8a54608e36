import { type Duration, toMilliseconds } from './duration.js';

/** A handler's request to run again later; see {@link snooze}. */
export class Snooze {
  constructor(readonly delay: Duration | number) {
    toMilliseconds(delay);
  }
}

/**
 * Returned by a handler to run again later. It is not a failure and uses up no attempt.
 *
 * @param delay a duration such as `5m`, or milliseconds. @throws RangeError when it is none.
 */
export const snooze = (delay: Duration | number): Snooze => new Snooze(delay);
