import { type Duration, toMilliseconds } from '#config';
import { CancelledError, JobTimeoutError, WorkerStoppingError } from './errors.js';

/** After its time-out a handler has this long to notice its signal; then the attempt has failed without it. */
const TIMEOUT_GRACE_MS = 2_000;
/** The same when the worker stops. */
export const STOP_GRACE_MS = 1_000;

/**
 * One attempt while its handler runs: the signal that the handler is given, and an end for the case that the handler
 * takes no notice of it.
 */
export class RunningAttempt {
  private readonly controller = new AbortController();
  private rejectOverdue: (reason: unknown) => void = () => {};
  /** Rejects when the handler had its time, and a grace time to notice, and goes on all the same. */
  readonly overdue = new Promise<never>((_, reject) => {
    this.rejectOverdue = reject;
  });
  private timer: NodeJS.Timeout | undefined;

  constructor() {
    // Often nobody waits for it any more when it rejects.
    this.overdue.catch(() => {});
  }

  /** Aborted by the time-out, a cancellation or the end of the worker; its reason is the error that says which. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Starts the clock. */
  startTimeout(timeout: Duration): void {
    this.timer = setTimeout(
      () => this.end(new JobTimeoutError(timeout), TIMEOUT_GRACE_MS),
      toMilliseconds(timeout),
    );
  }

  /** The job was cancelled. A handler that takes no notice may go on until its time-out: what it does is being done. */
  cancel(): void {
    this.controller.abort(new CancelledError());
  }

  /** The worker stops. */
  giveBack(): void {
    this.end(new WorkerStoppingError(), STOP_GRACE_MS);
  }

  /** Stops the clock: the handler is done. */
  clear(): void {
    clearTimeout(this.timer);
  }

  private end(reason: Error, graceMs: number): void {
    clearTimeout(this.timer);
    this.controller.abort(reason);
    this.timer = setTimeout(() => this.rejectOverdue(this.signal.reason), graceMs);
  }
}
