import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Contracts } from '#jobs';
import { Broker } from '#rabbitmq';
import { emptyQueue, QueueRecords, type QueueView, type Tally, Throughput } from '#records';

/** How old what is shown may be. */
const FRESH_MS = 1_000;
/** How long a page waits for newer figures than it has; counting a million waiting jobs takes a second. */
const PATIENCE_MS = 50;
/** How often those who watch are told to look again although no figure has changed: time goes on. */
const TELL_EVERY_MS = 5_000;

/** One queue, with all that its row shows. */
export interface QueueRow extends QueueView {
  /** Null when the broker does not answer. */
  consumers: number | null;
  lastHour: Tally | undefined;
}

/** What the figures of all pages were at one moment. */
export interface Figures {
  at: Date;
  queues: QueueRow[];
}

/** Gathers the figures of all queues, once for all who look, and tells those who watch when they have changed. */
@Injectable()
export class Board implements OnModuleDestroy {
  private latest: Figures | undefined;
  private gathering: Promise<Figures> | undefined;
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
  async figures(): Promise<Figures> {
    if (this.latest && Date.now() - this.latest.at.getTime() < FRESH_MS) return this.latest;
    const gathering = this.gather();
    if (!this.latest) return gathering;
    const before = this.latest;
    return Promise.race([gathering, pause(PATIENCE_MS, before, { ref: false })]);
  }

  /** Forgets the figures, after a deed that changes them. */
  forget(): void {
    this.latest = undefined;
    this.gathering = undefined;
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

  private gather(): Promise<Figures> {
    this.gathering ??= this.read().then(
      (figures) => {
        this.latest = figures;
        this.gathering = undefined;
        return figures;
      },
      (error) => {
        this.gathering = undefined;
        throw error;
      },
    );
    return this.gathering;
  }

  private async read(): Promise<Figures> {
    const [views, tallies] = await Promise.all([this.records.list(), this.throughput.ofLastHour()]);
    const names = new Set([...this.contracts.queues.keys(), ...views.map(({ queue }) => queue)]);
    const queues = await Promise.all(
      [...names].sort().map(async (queue) => ({
        ...(views.find((view) => view.queue === queue) ?? emptyQueue(queue)),
        consumers: (await this.broker.countConsumers(queue)) ?? null,
        lastHour: tallies.get(queue),
      })),
    );
    return { at: new Date(), queues };
  }

  private async follow(): Promise<void> {
    if (this.isWatching) return;
    this.isWatching = true;
    const { signal } = this.stopping;
    let told = '';
    let toldAt = 0;
    while (this.watchers.size > 0 && !signal.aborted) {
      // While the database is away there is nothing new to see.
      const figures = await this.gather().catch(() => undefined);
      const text = JSON.stringify(figures?.queues);
      if (figures && (text !== told || Date.now() - toldAt >= TELL_EVERY_MS)) {
        [told, toldAt] = [text, Date.now()];
        for (const tell of this.watchers) tell();
      }
      await pause(FRESH_MS, undefined, { signal }).catch(() => {});
    }
    this.isWatching = false;
  }
}
