import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type JobContext, NonRetryableError, snooze } from '#jobs';
import { writeForwarded } from '#telemetry';
import { describeCrash, type IsolatedCrashError } from './crash.js';
import type { IsolationOptions } from './isolation.module-definition.js';
import type { Ending, FromThread, JobData, ToThread } from './messages.js';
import { fromPlainError, toPlainError } from './plain-error.js';

/**
 * A handler has this long after its signal; then its thread is killed. Less than the executor waits, after a time-out
 * as when the worker stops, so that the thread is gone before the attempt has ended and another one may begin.
 */
const KILL_AFTER_MS = 800;
/** How long a thread may take to close its Nest context. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What the attempt that runs in a thread waits for. */
interface Attempt {
  job: JobContext;
  end(ending: Ending | IsolatedCrashError): void;
}

/** The worker's side of one thread, which runs one job at a time. */
export class Thread {
  private readonly worker: Worker;
  private attempt: Attempt | undefined;
  private alive = true;
  /** Resolves when the thread is gone, with the reason. */
  readonly gone: Promise<IsolatedCrashError>;

  constructor(private readonly options: IsolationOptions) {
    this.worker = new Worker(options.entry, {
      name: 'isolated',
      workerData: { logLevel: options.log.level },
      resourceLimits: { maxOldGenerationSizeMb: options.memoryMb },
    });
    this.worker.on('message', (message: FromThread) => this.onMessage(message));
    this.gone = new Promise((resolve) => {
      let uncaught: Error | undefined;
      this.worker.on('error', (error: Error) => {
        uncaught = error;
      });
      this.worker.on('exit', (code) => {
        this.alive = false;
        const crash = describeCrash(uncaught, code, options.memoryMb);
        this.attempt?.end(crash);
        resolve(crash);
      });
    });
  }

  /** Whether it can take another job. */
  get isAlive(): boolean {
    return this.alive;
  }

  /**
   * Runs a job.
   *
   * @returns what its handler returned.
   * @throws what its handler threw, IsolatedCrashError, or the signal's reason when the thread had to be killed.
   */
  async run(job: JobContext): Promise<unknown> {
    const { signal, log: _, progress: __, ...data } = job;
    signal.throwIfAborted();
    let killing: NodeJS.Timeout | undefined;
    const onAbort = () => {
      this.post({ kind: 'abort', reason: toPlainError(signal.reason) });
      killing = setTimeout(() => this.kill(), KILL_AFTER_MS);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const ending = await new Promise<Ending | IsolatedCrashError>((end) => {
        this.attempt = { job, end };
        this.hand(data);
      });
      if (ending instanceof Error) throw signal.aborted ? signal.reason : ending;
      return outcome(ending);
    } finally {
      clearTimeout(killing);
      signal.removeEventListener('abort', onAbort);
      this.attempt = undefined;
    }
  }

  /** Lets the thread close its Nest context and end; kills it when that takes too long. */
  async close(): Promise<void> {
    this.alive = false;
    this.post({ kind: 'close' });
    await Promise.race([this.gone, pause(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    this.kill();
  }

  /** Stops it wherever it is, in a busy loop too; only native code runs to its end. */
  private kill(): void {
    this.alive = false;
    void this.worker.terminate();
  }

  private hand(job: JobData): void {
    try {
      this.post({ kind: 'run', job });
    } catch (error) {
      throw new NonRetryableError(
        `The payload of ${job.name} cannot go into a thread: ${(error as Error).message} ` +
          'Its schema must make plain data of it, without functions',
        { cause: error },
      );
    }
  }

  private post(message: ToThread): void {
    this.worker.postMessage(message);
  }

  private onMessage(message: FromThread): void {
    const { job, end } = this.attempt ?? {};
    switch (message.kind) {
      case 'progress':
        job?.progress(message.fraction, message.note);
        break;
      case 'log':
        writeForwarded((message.ofJob && job?.log) || this.options.log, message.line);
        break;
      case 'ended':
        end?.(message.ending);
        break;
    }
  }
}

function outcome(ending: Ending): unknown {
  switch (ending.how) {
    case 'returned':
      return ending.result;
    case 'snoozed':
      return snooze(ending.delay);
    case 'threw':
      throw fromPlainError(ending.error);
  }
}
