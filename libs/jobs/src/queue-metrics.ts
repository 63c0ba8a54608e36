import { Injectable } from '@nestjs/common';
import { Broker } from '#rabbitmq';
import { QueueStore } from '#records';
import { lookUp, metrics, type Sample } from '#telemetry';
import { Contracts } from './contracts.js';

const STATES = ['scheduled', 'queued', 'running', 'retrying', 'dead'] as const;

/** Metrics of queues, dead letters and the outbox. They are the same whichever app is asked, so one provides them: the api. */
@Injectable()
export class QueueMetrics {
  constructor(
    private readonly contracts: Contracts,
    private readonly broker: Broker,
    private readonly queues: QueueStore,
  ) {
    const { queueJobs, oldestReadyAge, queuePaused, deadLetters } = metrics;
    lookUp([queueJobs, oldestReadyAge, queuePaused, deadLetters], () => this.readQueues());
    lookUp([metrics.outboxPending, metrics.outboxOldestAge], () => this.readOutbox());
    lookUp([metrics.queueConsumers], () => this.readConsumers());
  }

  private async readQueues(): Promise<Sample[]> {
    const views = await this.queues.list(this.contracts.queues.keys());
    return views.flatMap(({ queue, oldestWaiting, paused, ...counts }): Sample[] => [
      ...STATES.map((state): Sample => [metrics.queueJobs, counts[state], { queue, state }]),
      [metrics.oldestReadyAge, ageOf(oldestWaiting), { queue }],
      [metrics.queuePaused, Number(paused), { queue }],
      [metrics.deadLetters, counts.dead, { queue }],
    ]);
  }

  private async readOutbox(): Promise<Sample[]> {
    const { pending, oldest } = await this.queues.outbox();
    return [
      [metrics.outboxPending, pending],
      [metrics.outboxOldestAge, ageOf(oldest)],
    ];
  }

  private async readConsumers(): Promise<Sample[]> {
    const counts = [...this.contracts.queues.keys()].map(async (queue): Promise<Sample[]> => {
      const count = await this.broker.countConsumers(queue);
      return count === undefined ? [] : [[metrics.queueConsumers, count, { queue }]];
    });
    return (await Promise.all(counts)).flat();
  }
}

const ageOf = (since: Date | null): number => (since ? Math.max(0, Date.now() - since.getTime()) / 1_000 : 0);
