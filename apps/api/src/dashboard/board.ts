import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Contracts } from '#jobs';
import { Broker } from '#rabbitmq';
import { emptyQueue, QueueRecords, type QueueView, type Tally, Throughput } from '#records';
import { Fresh } from './fresh.js';

/** How old what is shown may be. */
const FRESH_MS = 1_000;
/** How often those who watch are told to look again although no figure has changed: time goes on. */
const TELL_EVERY_MS = 5_000;

/** One queue, with all that its row shows. */
export interface QueueRow extends QueueView {
  /** Null when the broker does not answer. */
  consumers: number | null;
  lastHour: Tally | undefined;
}

/** Gathers the figures of all queues, once for all who look, and tells those who watch when they have changed. */
@Injectable()
export class Board implements OnModuleDestroy {
  private readonly latest = new Fresh(() => this.read(), FRESH_MS);
  private readonly watchers = new Set<() => void>();
  private readonly stopping = new AbortController();
  private isWatching = false;

  constructor(
    private readonly contracts: Contracts,
    private readonly records: QueueRecords,
    private readonly throughput: Throughput,
    private readonly broker: Broker,
  ) {}

  /** The figures, a second old or, where they take longer to gather, those from before. */
  figures(): Promise<QueueRow[]> {
    return this.latest.get();
  }

  /** Forgets the figures, after a deed that changes them. */
  forget(): void {
    this.latest.forget();
  }

  /** @param tell called whenever there is something new to see. @returns the way to stop that. */
  watch(tell: () => void): () => void {
    this.watchers.add(tell);
    void this.follow();
    return () => this.watchers.delete(tell);
  }

  onModuleDestroy(): void {
    this.stopping.abort();
  }

  private async read(): Promise<QueueRow[]> {
    const [views, tallies] = await Promise.all([this.records.list(), this.throughput.ofLastHour()]);
    const names = new Set([...this.contracts.queues.keys(), ...views.map(({ queue }) => queue)]);
    return Promise.all(
      [...names].sort().map(async (queue) => ({
        ...(views.find((view) => view.queue === queue) ?? emptyQueue(queue)),
        consumers: (await this.broker.countConsumers(queue)) ?? null,
        lastHour: tallies.get(queue),
      })),
    );
  }

  private async follow(): Promise<void> {
    if (this.isWatching) return;
    this.isWatching = true;
    const { signal } = this.stopping;
    let told = '';
    let toldAt = 0;
    while (this.watchers.size > 0 && !signal.aborted) {
      // While the database is away there is nothing new to see.
      const figures = await this.latest.next().catch(() => undefined);
      const text = JSON.stringify(figures);
      if (figures && (text !== told || Date.now() - toldAt >= TELL_EVERY_MS)) {
        [told, toldAt] = [text, Date.now()];
        for (const tell of this.watchers) tell();
      }
      await pause(FRESH_MS, undefined, { signal }).catch(() => {});
    }
    this.isWatching = false;
  }
}
