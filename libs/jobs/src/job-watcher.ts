import type { EventEmitter } from 'node:events';
import {
  type BeforeApplicationShutdown,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Duty, withResolvers, withTimeout } from '#common';
import { hasEnded, JobQueries, type WatchedJob } from '#records';

const POLL_INTERVAL_MS = 250;
/** Watchers of clients at once: each holds a connection open. */
const MAX_WATCHERS = 1_000;

export interface Watcher {
  /** The job has changed since the last call. */
  tell(job: WatchedJob): void;
  /** The app stops. */
  stop(): void;
  /** Code of this process waits: it holds no connection open, and may go on waiting until handlers have ended. */
  isCode?: boolean;
}

/** Watches jobs for all who ask in this process, with one statement four times a second; with none while nobody watches. */
@Injectable()
export class JobWatcher
  extends Duty
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  private readonly watched = new Map<string, { latest?: WatchedJob; watchers: Set<Watcher> }>();
  private count = 0;
  private isStopping = false;

  constructor(private readonly views: JobQueries) {
    super({ name: 'Looking at watched jobs', intervalMs: POLL_INTERVAL_MS });
  }

  onApplicationBootstrap(): void {
    this.start(POLL_INTERVAL_MS);
  }

  /** Whether no more clients may watch: there are too many, or the api stops. */
  get isFull(): boolean {
    return this.count >= MAX_WATCHERS || this.isStopping;
  }

  /** Tells of a job from now on. @returns the way to stop that. */
  watch(id: string, watcher: Watcher): () => void {
    const entry = this.watched.get(id) ?? { watchers: new Set() };
    this.watched.set(id, entry);
    entry.watchers.add(watcher);
    const weight = watcher.isCode ? 0 : 1;
    this.count += weight;
    if (entry.latest) watcher.tell(entry.latest);
    if (this.watched.size === 1) this.wake();
    return () => {
      if (!entry.watchers.delete(watcher)) return;
      this.count -= weight;
      if (entry.watchers.size === 0) this.watched.delete(id);
    };
  }

  /**
   * Waits for the end of a job.
   *
   * @param by whose `close` or abort ends the wait: nobody would hear the answer.
   * @returns whether it has ended within the time; false at once when too many clients watch.
   */
  async ended(
    id: string,
    withinMs: number,
    { client, signal }: { client?: EventEmitter; signal?: AbortSignal },
  ): Promise<boolean> {
    if (withinMs === 0 || signal?.aborted || (client && this.isFull)) return false;
    const { promise, resolve } = withResolvers<boolean>();
    const stop = () => resolve(false);
    client?.once('close', stop);
    signal?.addEventListener('abort', stop, { once: true });
    const tell = ({ state }: WatchedJob) => hasEnded(state) && resolve(true);
    const unwatch = this.watch(id, { tell, stop, isCode: !client });
    try {
      return await withTimeout(promise, withinMs, () => false);
    } finally {
      client?.off('close', stop);
      signal?.removeEventListener('abort', stop);
      unwatch();
    }
  }

  /** Nest calls it first on SIGTERM: clients who watch are let go, so that the server can close. */
  onModuleDestroy(): void {
    this.isStopping = true;
    this.release(({ isCode }) => !isCode);
  }

  /** Nest calls it when the handlers of a worker have ended: until then they may wait for other jobs. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
    this.release(() => true);
  }

  private release(which: (watcher: Watcher) => boolean): void {
    for (const { watchers } of this.watched.values())
      for (const watcher of [...watchers].filter(which)) watcher.stop();
  }

  protected async run(): Promise<void> {
    if (this.watched.size === 0) return;
    const known = new Map([...this.watched].map(([id, { latest }]) => [id, latest?.version ?? '']));
    for (const job of await this.views.changed(known)) {
      const entry = this.watched.get(job.id);
      if (!entry) continue;
      entry.latest = job;
      for (const watcher of [...entry.watchers]) watcher.tell(job);
    }
  }
}
