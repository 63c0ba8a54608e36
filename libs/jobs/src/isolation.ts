import type { JobContext } from './handler.js';

/**
 * Runs handlers with `isolated: true` off the worker's own thread. The worker has one when it imports the
 * `IsolationModule` of `#isolation`, which knows how; this is all that the way of a job knows of it.
 */
export abstract class Isolation {
  /** As a handler that is called directly: resolves with its result, rejects with its error, heeds the signal. */
  abstract run(job: JobContext): Promise<unknown>;
}
