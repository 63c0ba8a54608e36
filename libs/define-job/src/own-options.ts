import type { Duration } from './duration.js';
import type { JobRetry } from './retry.js';

/** What a single job may have in place of what its contract says. */
export interface OwnOptions {
  /** When it is tried again: a list of delays, or `exponential({ attempts, first })`. */
  retry?: JobRetry;
  /** How long one attempt may take. */
  timeout?: Duration | number;
}
