import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Cache, Duty } from '#common';
import { Queues } from '#jobs';
import {
  type ContractTimes,
  JobSearch,
  type OutcomeCounts,
  type Queue,
  QueueStore,
  Throughput,
} from '#records';

/** How old what is shown may be. */
const FRESH_MS = 1_000;
/** How long a page waits for newer figures than it has: they may take a second to count. */
const MAX_WAIT_MS = 50;
const OLD_MS = 10_000;
/** How long jobs take changes slowly, and some tens of milliseconds of the database go into it. */
const TIMES = { freshMs: 10_000, freshFactor: 20, maxWaitMs: MAX_WAIT_MS };
/** How often those who watch are told to look again although no figure has changed: time goes on. */
const TELL_EVERY_MS = 5_000;

export interface QueueRow extends Queue {
  lastHour: OutcomeCounts | undefined;
}

export interface Figures {
  queues: QueueRow[];
  at: Date;
  /** Nobody looked for a while, and newer ones take long to count: anyone who looks next will see them. */
  areOld: boolean;
}

/** Gathers the figures of all queues, once for all who look, and tells those who watch when they have changed. */
@Injectable()
export class Board extends Duty implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly latest = new Cache(() => this.read(), { freshMs: FRESH_MS, maxWaitMs: MAX_WAIT_MS });
  private readonly latestTimes = new Cache(() => this.search.times(), TIMES);
  private readonly watchers = new Set<() => void>();
  private told = { text: '', at: 0 };

  constructor(
    private readonly queues: Queues,
    private readonly records: QueueStore,
    private readonly throughput: Throughput,
    private readonly search: JobSearch,
  ) {
    super({ name: 'Gathering the figures of queues', intervalMs: FRESH_MS });
  }

  /** Who looks first need not wait for the first count. */
  onApplicationBootstrap(): void {
    // Without the database there is nothing to count yet.
    this.latest.refresh().catch(() => {});
    this.start(FRESH_MS);
  }

  /** The figures, a second old or, where they take longer to gather, those from before. */
  async figures(): Promise<Figures> {
    // A queue that was paused just now is shown as paused, whatever age its figures have.
    const [{ rows, at }, paused] = await Promise.all([this.latest.get(), this.records.paused()]);
    const ageMs = performance.now() - at;
    return {
      queues: rows.map((row) => ({ ...row, paused: paused.has(row.queue) })),
      at: new Date(Date.now() - ageMs),
      areOld: ageMs > OLD_MS,
    };
  }

  /** How long the newest jobs took, by contract. */
  times(): Promise<ContractTimes[]> {
    return this.latestTimes.get();
  }

  /** @param tell called whenever there is something new to see. @returns the way to stop that. */
  watch(tell: () => void): () => void {
    this.watchers.add(tell);
    if (this.watchers.size === 1) {
      this.told = { text: '', at: 0 };
      this.wake();
    }
    return () => this.watchers.delete(tell);
  }

  onModuleDestroy(): void {
    void this.stop();
  }

  private async read(): Promise<{ rows: QueueRow[]; at: number }> {
    const [queues, tallies] = await Promise.all([this.queues.list(), this.throughput.ofLastHour()]);
    const rows = queues.map((queue) => ({ ...queue, lastHour: tallies.get(queue.queue) }));
    return { rows, at: performance.now() };
  }

  protected async run(): Promise<void> {
    if (this.watchers.size === 0) return;
    const text = JSON.stringify((await this.latest.refresh()).rows);
    if (text === this.told.text && Date.now() - this.told.at < TELL_EVERY_MS) return;
    this.told = { text, at: Date.now() };
    for (const tell of this.watchers) tell();
  }
}
