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
  /** Made when a handler asks for its signal, which many do not. */
  private controller: AbortController | undefined;
  private timer: NodeJS.Timeout | undefined;
  private rejectOverdue: ((reason: unknown) => void) | undefined;
  /** Why the attempt is to stop: the error that says which of the reasons it was. */
  reason: Error | undefined;

  /** Aborted by the time-out, a cancellation or the end of the worker, with {@link reason}. */
  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.reason) this.controller.abort(this.reason);
    }
    return this.controller.signal;
  }

  /**
   * Waits for the handler, for as long as it may take.
   *
   * @throws the {@link reason} when the handler had its time, and a grace time to notice, and goes on all the same.
   */
  outcomeOf<T>(handling: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.rejectOverdue = reject;
      handling.then(resolve, reject);
    });
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
    this.abort(new CancelledError());
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
    this.abort(reason);
    this.timer = setTimeout(() => this.rejectOverdue?.(this.reason), graceMs);
  }

  /** The first reason counts. */
  private abort(reason: Error): void {
    this.reason ??= reason;
    this.controller?.abort(reason);
  }
}
