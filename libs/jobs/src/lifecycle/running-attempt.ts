import { setMaxListeners } from 'node:events';
import { type Duration, toMilliseconds } from '#define-job';
import type { Used } from '#records';
import { CancelledError, JobTimeoutError, WorkerStoppingError } from '../errors.js';
import type { JobSecrets } from '../job-secrets.js';
import { readThrown, toError } from '../thrown.js';
import type { Outcome } from './outcome.js';

/** After its time-out a handler has this long to react to its signal; then the attempt has failed. */
const TIMEOUT_GRACE_MS = 2_000;
/** The same when the worker stops. */
export const STOP_GRACE_MS = 1_000;

/** What log lines say of an attempt. */
export interface About {
  job: string;
  name: string;
  attempt: number;
  traceId: string | undefined;
}

/** One attempt while its handler runs: its signal, and its end in case the handler ignores the signal. */
export class RunningAttempt {
  /** Made when a handler asks for its signal, which many do not. */
  private controller: AbortController | undefined;
  private timer: NodeJS.Timeout | undefined;
  private rejectOverdue: ((reason: unknown) => void) | undefined;
  /** Why the attempt is to stop: the error that says which of the reasons it was. */
  private reason: Error | undefined;
  private uncaught: { error: unknown } | undefined;
  /** It ends the worker: it has crashed, whatever its handler still returns. */
  isCulprit = false;
  /** What it used, if it ran isolated. */
  used: Used | undefined;

  /** @param claim the number of its claim. @param secrets what nobody may quote. */
  constructor(
    readonly about: About,
    readonly claim: number,
    readonly secrets: JobSecrets,
  ) {}

  /** Aborted by the time-out, a cancellation or the end of the worker, with {@link reason}. */
  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      // A handler may add any number of listeners.
      setMaxListeners(0, this.controller.signal);
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
      handling.then((result) => (this.isCulprit ? reject(this.reason) : resolve(result)), reject);
    });
  }

  /** What became of the attempt when its handler threw, or had to be left alone: the reason to stop, if there was one. */
  failureBy(error: unknown): Outcome {
    const { reason, uncaught, isCulprit } = this;
    const isStopped = reason instanceof WorkerStoppingError;
    if (uncaught && (isCulprit || isStopped)) return { kind: 'crashed', error: uncaught.error };
    if (isStopped) return { kind: 'released' };
    if (reason instanceof CancelledError) return { kind: 'cancelled', error: reason };
    // A handler that obeys its signal rejects with some library's AbortError; the reason is the time-out.
    return { kind: 'failed', error: reason ?? toError(readThrown(error)) };
  }

  startTimeout(timeout: Duration): void {
    this.timer = setTimeout(
      () => this.end(new JobTimeoutError(timeout), TIMEOUT_GRACE_MS),
      toMilliseconds(timeout),
    );
  }

  /** The job was cancelled. A handler that ignores its signal goes on until its time-out. */
  cancel(): void {
    this.abort(new CancelledError());
  }

  /** The worker stops. */
  release(): void {
    this.end(new WorkerStoppingError(), STOP_GRACE_MS);
  }

  /** The worker ends by an uncaught error of this attempt. */
  blame(error: unknown): void {
    this.isCulprit = true;
    this.noteUncaught(error);
    this.abort(new WorkerStoppingError());
  }

  /** The worker ends by an uncaught error that may be of this attempt, which has crashed if it does not end in time. */
  noteUncaught(error: unknown): void {
    this.uncaught ??= { error: toError(readThrown(error)) };
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
