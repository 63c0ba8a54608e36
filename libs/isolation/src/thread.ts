import { Worker } from 'node:worker_threads';
import { settledWithin, withResolvers } from '#common';
import type { Settings } from '#config';
import {
  type AttemptContext,
  meterOf,
  type Outbox,
  type PendingMessage,
  type Returned,
  readThrown,
  type Thrown,
  toError,
} from '#jobs';
import { type Log, writeForwarded } from '#telemetry';
import { describeCrash } from './crash.js';
import { LogFlow } from './log-flow.js';
import { type FromThread, type Owner, parseMessage, type ToThread } from './messages.js';

/** From a handler's signal to the end of its thread. Less than the executor waits: the thread is gone before the attempt ends. */
const KILL_AFTER_MS = 800;
const CLOSE_TIMEOUT_MS = 2_000;
/** How long it may take to start, on a machine that is busy with other things. */
const BOOT_TIMEOUT_MS = 60_000;
/** A thread that does not report for this long that its job is over still runs code of the job. */
const FREE_TIMEOUT_MS = 5_000;
/** The newest jobs of a thread keep their log, and its redaction, after they have ended. */
const MAX_LOGS = 10;

export interface ThreadOptions {
  entry: URL | string;
  settings: Settings;
  /** Publishes what its handlers enqueue. */
  outbox: Pick<Outbox, 'publish'>;
  /** Where it logs what belongs to no job. */
  log: Log;
}

type Ending = Extract<FromThread, { kind: 'succeeded' | 'snoozed' | 'threw' }>;

interface Attempt {
  run: number;
  job: AttemptContext;
  resolve(outcome: Returned): void;
  reject(error: unknown): void;
}

/** The worker's side of one thread, which runs one job at a time. */
export class Thread {
  private readonly worker: Worker;
  private readonly flow = new LogFlow();
  private attempt: Attempt | undefined;
  private runs = 0;
  private readonly logs = new Map<number, Log>();
  isAlive = true;
  /** Code of an ended job has thrown. */
  private spoilt = false;
  private hasWarned = false;
  private readonly booted = withResolvers<readonly string[]>();
  private free = withResolvers<boolean>();
  private readonly ended = withResolvers<void>();
  /** The contracts that it has handlers of, once it stands ready. Rejects with what keeps it from that. */
  readonly ready = this.booted.promise;
  /** Resolves when it does not count as a thread any more. */
  readonly gone = this.ended.promise;

  /** @throws what is wrong with the entry. */
  constructor(private readonly options: ThreadOptions) {
    this.worker = new Worker(options.entry, {
      name: 'isolated',
      workerData: { logLevel: options.log.level, logFlow: this.flow.buffer, settings: options.settings },
      resourceLimits: { maxOldGenerationSizeMb: options.settings.ISOLATED_MEMORY },
    });
    let uncaught: Thrown | undefined;
    this.worker.on('error', (error) => {
      uncaught = readThrown(error);
    });
    this.worker.on('exit', (code) => this.onExit(uncaught, code));
    this.worker.on('message', (message) => this.onMessage(parseMessage(message)));
    this.worker.on('messageerror', () => this.onMessage(undefined));
    void this.expectReady();
  }

  /** Waits until its last job is over, with what that left behind. @returns whether it may have another one. */
  get isFree(): Promise<boolean> {
    return this.runs === 0 ? Promise.resolve(this.isAlive) : this.free.promise;
  }

  /**
   * Runs a job.
   *
   * @throws what its handler threw, or IsolatedCrashError.
   */
  async run(job: AttemptContext, payload: string, maxBytes: number): Promise<Returned> {
    const { signal } = job;
    signal.throwIfAborted();
    const run = ++this.runs;
    this.keepLog(run, job.log);
    this.free = withResolvers();
    let killing: NodeJS.Timeout | undefined;
    const onAbort = () => {
      this.post({ kind: 'abort', reason: readThrown(signal.reason) });
      killing = setTimeout(() => this.kill(), KILL_AFTER_MS);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await new Promise<Returned>((resolve, reject) => {
        this.attempt = { run, job, resolve, reject };
        this.post({ kind: 'run', run, job: { ...job }, payload, maxBytes });
      });
    } finally {
      this.attempt = undefined;
      clearTimeout(killing);
      signal.removeEventListener('abort', onAbort);
      void this.expectFree(job.log);
    }
  }

  /** Lets the thread close its Nest context and end; kills it when that takes too long. */
  async close(): Promise<void> {
    this.isAlive = false;
    this.post({ kind: 'close' });
    await settledWithin(this.gone, CLOSE_TIMEOUT_MS);
    this.kill();
  }

  /** Stops it wherever it is, in a busy loop too; only native code runs to its end, and takes up no room meanwhile. */
  private kill(): void {
    this.isAlive = false;
    void this.worker.terminate();
    this.free.resolve(false);
    this.ended.resolve();
  }

  private post(message: ToThread): void {
    this.worker.postMessage(message);
  }

  private keepLog(run: number, log: Log): void {
    this.logs.set(run, log);
    this.logs.delete(run - MAX_LOGS);
  }

  private async expectReady(): Promise<void> {
    if (await settledWithin(this.ready, BOOT_TIMEOUT_MS)) return;
    this.booted.reject(new Error(`It did not call serveIsolated within ${BOOT_TIMEOUT_MS / 1_000} s`));
    this.kill();
  }

  private async expectFree(log: Log): Promise<void> {
    if (await settledWithin(this.free.promise, FREE_TIMEOUT_MS)) return;
    log.warn('The job left code running: killing its thread');
    this.kill();
  }

  private onMessage(message: FromThread | undefined): void {
    const { attempt } = this;
    if (!message) this.onStrange();
    else if (message.kind === 'ready') this.booted.resolve(message.contracts);
    else if (message.kind === 'log') this.write(message.line, message.run);
    else if (message.kind === 'enqueued') this.publish(message.job);
    else if (message.kind === 'free') this.onFree(message.leftovers);
    else if (message.kind === 'uncaught') this.onUncaught(message.error, message.owner);
    // A late message of an earlier job does not concern this one.
    else if (message.run !== attempt?.run) return;
    else if (message.kind === 'progress') attempt.job.progress(message.fraction, message.note);
    else this.onEnd(attempt, message);
  }

  private onEnd(attempt: Attempt, { used, ...ending }: Ending): void {
    attempt.job.hasUsed(used);
    if (ending.kind === 'threw') attempt.reject(toError(ending.error));
    else attempt.resolve(ending);
  }

  /** Its handler has enqueued a job. */
  private publish(job: PendingMessage): void {
    meterOf(job).enqueued();
    void this.options.outbox.publish(job);
  }

  /** A handler posted the message itself. */
  private onStrange(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    const log = this.logs.get(this.runs) ?? this.options.log;
    log.warn('Ignoring a message to parentPort, which is reserved for Warren');
  }

  private write(line: string, run: number | undefined): void {
    const log = run === undefined ? this.options.log : this.logs.get(run);
    if (log) writeForwarded(log, line);
    this.flow.read(line);
  }

  private onFree(leftovers: readonly string[]): void {
    if (leftovers.length > 0) {
      this.logs
        .get(this.runs)
        ?.warn({ leftovers }, 'The job left handles open: its thread is not used again');
    }
    this.free.resolve(this.isAlive && !this.spoilt && leftovers.length === 0);
  }

  /** An error fails the job that it belongs to, and no other. */
  private onUncaught(error: Thrown, owner: Owner | undefined): void {
    if (this.attempt && (owner?.run ?? this.attempt.run) === this.attempt.run) {
      this.attempt.reject(describeCrash(error, 0, this.options.settings.ISOLATED_MEMORY));
      this.kill();
      return;
    }
    const message = 'An error of an ended job in its thread: the thread is not used again';
    const log = owner && this.logs.get(owner.run);
    if (log) log.warn({ err: toError(error) }, message);
    // The job's secrets are not known any more, and the message may quote them.
    else this.options.log.warn({ ...owner, err: { type: error.name } }, message);
    this.spoilt = true;
    if (!this.attempt && this.isAlive) void this.close();
  }

  private onExit(uncaught: Thrown | undefined, code: number): void {
    const crash = describeCrash(uncaught, code, this.options.settings.ISOLATED_MEMORY);
    const wasIdle = this.isAlive && !this.attempt;
    this.isAlive = false;
    this.booted.reject(
      uncaught
        ? toError(uncaught)
        : new Error(`It ended with exit code ${code} and did not call serveIsolated`),
    );
    if (wasIdle && this.runs > 0) this.logs.get(this.runs)?.warn({ err: crash }, 'Idle thread exited');
    this.attempt?.reject(crash);
    this.free.resolve(false);
    this.ended.resolve();
  }
}
