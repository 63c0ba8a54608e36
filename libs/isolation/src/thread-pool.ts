import { availableParallelism } from 'node:os';
import type { OnApplicationShutdown } from '@nestjs/common';
import { ContractError, Isolation, type Seat } from '#jobs';
import { Thread, type ThreadOptions } from './thread.js';

/** A burst of jobs reuses its threads; afterwards they release their memory and connections. */
const IDLE_MS = 30_000;
/** Pause after a thread that did not start, doubled each time. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

export interface IsolationOptions {
  /** The module that each thread runs; it calls `serveIsolated`. Compiled JavaScript: `new URL('./isolated/isolated.js', import.meta.url)`. */
  entry: URL | string;
  /** How long a thread waits for its next job before it ends, in milliseconds; 30 s when absent. */
  idleMs?: number;
}

interface Waiting {
  resolve(thread: Thread): void;
  reject(error: unknown): void;
}

/** The threads of a worker: no more than run well at once. Jobs wait here for one, and have not started meanwhile. */
export class ThreadPool extends Isolation implements OnApplicationShutdown {
  readonly threads: number;
  private readonly all = new Set<Thread>();
  /** Threads that wait for a job, the one used last at the end, each with the timer that ends it. */
  private readonly idle = new Map<Thread, NodeJS.Timeout>();
  private readonly waiting: Waiting[] = [];
  private starting = 0;
  /** Starts that failed since the last one that did not. */
  private failures = 0;
  private pausing: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly options: IsolationOptions & ThreadOptions) {
    super();
    this.threads = options.settings.ISOLATED_THREADS ?? availableParallelism();
  }

  async start(contracts: readonly string[]): Promise<void> {
    const served = await this.open().catch((error) => {
      throw new ContractError(`The thread of the isolated handlers does not start. ${error.message}`);
    });
    const missing = contracts.filter((name) => !served.includes(name));
    if (missing.length === 0) return;
    throw new ContractError(
      `The isolated handlers of ${missing.join(', ')} are not among the controllers of the isolated module: add them`,
    );
  }

  async seat(): Promise<Seat> {
    let thread = await this.take();
    return {
      run: async (...job) => {
        // It may have ended while the job was claimed.
        if (!thread.isAlive) thread = await this.take();
        return thread.run(...job);
      },
      leave: () => void this.reuse(thread),
    };
  }

  stop(): void {
    this.stopped = true;
    for (const { reject } of this.waiting.splice(0)) reject(new Error('The worker stops'));
  }

  /** Nest calls it last, when the jobs in flight are done or released. */
  async onApplicationShutdown(): Promise<void> {
    this.stop();
    clearTimeout(this.pausing);
    for (const timer of this.idle.values()) clearTimeout(timer);
    this.idle.clear();
    await Promise.all([...this.all].map((thread) => thread.close()));
  }

  private take(): Promise<Thread> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      if (this.stopped) this.stop();
      else this.serve();
    });
  }

  private async reuse(thread: Thread): Promise<void> {
    if (await thread.isFree) this.keep(thread);
    else if (thread.isAlive) await thread.close();
  }

  /** Gives threads to those who wait, and starts as many as they lack and there is room for. */
  private serve(): void {
    while (this.waiting.length > 0) {
      // The one used last, so that those which are not needed any more come to their end.
      const thread = [...this.idle.keys()].at(-1);
      if (!thread) break;
      this.forget(thread);
      if (thread.isAlive) this.waiting.shift()?.resolve(thread);
    }
    while (!this.pausing && this.starting < this.waiting.length && this.all.size < this.threads)
      void this.open().catch((err) => {
        const waiting = this.waiting.length;
        if (!this.stopped)
          this.options.log.error(
            { err, waiting },
            'A thread of the isolated handlers does not start; retrying',
          );
      });
  }

  /** Starts a thread. @returns the contracts that it serves. */
  private async open(): Promise<readonly string[]> {
    this.starting++;
    try {
      const thread = new Thread(this.options);
      this.all.add(thread);
      void thread.gone.then(() => {
        this.forget(thread);
        this.all.delete(thread);
        this.serve();
      });
      const contracts = await thread.ready;
      this.failures = 0;
      this.keep(thread);
      return contracts;
    } catch (error) {
      this.pause();
      throw error;
    } finally {
      this.starting--;
    }
  }

  /** Waits before the next try; waiting jobs go on waiting. */
  private pause(): void {
    clearTimeout(this.pausing);
    const goOn = () => {
      this.pausing = undefined;
      this.serve();
    };
    this.pausing = setTimeout(goOn, Math.min(RETRY_MS * 2 ** this.failures++, MAX_RETRY_MS)).unref();
  }

  private keep(thread: Thread): void {
    if (!thread.isAlive || this.stopped) return;
    const end = () => {
      this.idle.delete(thread);
      void thread.close();
    };
    this.idle.set(thread, setTimeout(end, this.options.idleMs ?? IDLE_MS).unref());
    this.serve();
  }

  private forget(thread: Thread): void {
    clearTimeout(this.idle.get(thread));
    this.idle.delete(thread);
  }
}
