import { Injectable } from '@nestjs/common';
import { QueueStore } from '#records';
import { lookUp, metrics, type Sample } from '#telemetry';
import { Contracts } from './contracts.js';
import { Queues } from './queues.js';

const STATES = ['scheduled', 'queued', 'running', 'retrying', 'dead'] as const;

/** Metrics of queues, dead letters and the outbox. They are the same whichever app is asked, so one provides them: the api. */
@Injectable()
export class QueueMetrics {
  constructor(
    private readonly contracts: Contracts,
    private readonly queues: Queues,
    private readonly store: QueueStore,
  ) {
    const { queueJobs, oldestReadyAge, queuePaused, deadLetters } = metrics;
    lookUp([queueJobs, oldestReadyAge, queuePaused, deadLetters], () => this.readQueues());
    lookUp([metrics.outboxPending, metrics.outboxOldestAge], () => this.readOutbox());
    lookUp([metrics.queueConsumers], () => this.readConsumers());
  }

  private async readQueues(): Promise<Sample[]> {
    const views = await this.store.list(this.contracts.queues.keys());
    return views.flatMap(({ queue, oldestWaiting, paused, ...counts }): Sample[] => [
      ...STATES.map((state): Sample => [metrics.queueJobs, counts[state], { queue, state }]),
      [metrics.oldestReadyAge, ageOf(oldestWaiting), { queue }],
      [metrics.queuePaused, Number(paused), { queue }],
      [metrics.deadLetters, counts.dead, { queue }],
    ]);
  }

  private async readOutbox(): Promise<Sample[]> {
    const { pending, oldest } = await this.store.outbox();
    return [
      [metrics.outboxPending, pending],
      [metrics.outboxOldestAge, ageOf(oldest)],
    ];
  }

  /** Also of queues that no contract has, while jobs wait there: nobody takes them. */
  private async readConsumers(): Promise<Sample[]> {
    const known = this.contracts.queues;
    return (await this.queues.list()).flatMap(({ queue, ready, consumers }): Sample[] =>
      consumers === null || !(known.has(queue) || ready > 0)
        ? []
        : [[metrics.queueConsumers, consumers, { queue }]],
    );
  }
}

const ageOf = (since: Date | null): number => (since ? Math.max(0, Date.now() - since.getTime()) / 1_000 : 0);
