import type { EventEmitter } from 'node:events';
import { Injectable, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Duty, withResolvers, withTimeout } from '#common';
import { hasEnded, JobQueries, type WatchedJob } from '#records';

const POLL_INTERVAL_MS = 250;
/** Watchers at once: each holds a connection open. */
const MAX_WATCHERS = 1_000;

export interface Watcher {
  /** The job has changed since the last call. */
  tell(job: WatchedJob): void;
  /** The api stops. */
  stop(): void;
}

/** Watches jobs for all who ask, with one statement four times a second; with none while nobody watches. */
@Injectable()
export class JobWatcher extends Duty implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly watched = new Map<string, { latest?: WatchedJob; watchers: Set<Watcher> }>();
  private count = 0;
  private isStopping = false;

  constructor(private readonly views: JobQueries) {
    super({ name: 'Looking at watched jobs', intervalMs: POLL_INTERVAL_MS });
  }

  onApplicationBootstrap(): void {
    this.start(POLL_INTERVAL_MS);
  }

  /** Whether nobody more may watch: there are too many, or the api stops. */
  get isFull(): boolean {
    return this.count >= MAX_WATCHERS || this.isStopping;
  }

  /** Tells of a job from now on. @returns the way to stop that. */
  watch(id: string, watcher: Watcher): () => void {
    const entry = this.watched.get(id) ?? { watchers: new Set() };
    this.watched.set(id, entry);
    entry.watchers.add(watcher);
    this.count++;
    if (entry.latest) watcher.tell(entry.latest);
    if (this.count === 1) this.wake();
    return () => {
      if (!entry.watchers.delete(watcher)) return;
      this.count--;
      if (entry.watchers.size === 0) this.watched.delete(id);
    };
  }

  /**
   * Waits for the end of a job.
   *
   * @param client whose `close` ends the wait: nobody would hear the answer.
   * @returns whether it has ended within the time; false at once when too many watch.
   */
  async ended(id: string, withinMs: number, client: EventEmitter): Promise<boolean> {
    if (withinMs === 0 || this.isFull) return false;
    const { promise, resolve } = withResolvers<boolean>();
    const giveUp = () => resolve(false);
    client.once('close', giveUp);
    const unwatch = this.watch(id, { tell: ({ state }) => hasEnded(state) && resolve(true), stop: giveUp });
    try {
      return await withTimeout(promise, withinMs, () => false);
    } finally {
      client.off('close', giveUp);
      unwatch();
    }
  }

  /** Nest calls it first on SIGTERM: anyone who watches is let go, so that the server can close. */
  onModuleDestroy(): void {
    this.isStopping = true;
    void this.stop();
    for (const { watchers } of this.watched.values()) for (const watcher of [...watchers]) watcher.stop();
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

/** One watcher for the whole api: all who follow jobs share its look at the records, and its limit. */
@Module({ providers: [JobWatcher], exports: [JobWatcher] })
export class JobWatcherModule {}
