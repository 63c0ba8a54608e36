import type { Duration } from './duration.js';
import type { JobRetry } from './retry.js';

/** What a single job may have in place of what its contract says. */
export interface OwnOptions {
  /** When it is tried again: a list of delays, or `exponential({ attempts, first })`. */
  retry?: JobRetry;
  /** How long one attempt may take. */
  timeout?: Duration | number;
  /** How long after its time to run it may start: if it could not, it is a dead letter. */
  startWithin?: Duration | number;
}
