import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { PollingLoop } from '#common';
import { Broker } from '#rabbitmq';
import { OutboxStore } from '#records';
import { lookUp, metrics, type Step } from '#telemetry';
import { Contracts } from './contracts.js';
import { sending } from './lifecycle/spans.js';
import { type Destination, encode, type JobMessage } from './message.js';

/** A confirm is written into the record two to three of these later: most jobs are claimed by then and need no write. */
const MARK_EVERY_MS = 1_000;
const MARK_BATCH = 1_000;
/** An outage of publishing is over when nothing has failed for this long. */
const QUIET_MS = 5_000;

/** A job whose message is not known to the broker yet, under the claim that its record shows. */
export interface PendingMessage extends JobMessage {
  claim: number;
}

type Confirmed = Pick<PendingMessage, 'id' | 'claim'>;

/** Publishes what the outbox holds. Whatever fails here, the relay publishes again; whatever is published twice runs once. */
@Injectable()
export class Outbox implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Outbox.name);
  /** Confirmed messages of the last three intervals, oldest first. */
  private readonly confirmed: Confirmed[][] = [[], [], []];
  private current = this.confirmed[2] as Confirmed[];
  private readonly marking = new PollingLoop(
    { name: 'Noting what the broker confirmed', logger: this.logger, intervalMs: MARK_EVERY_MS },
    () => this.markOldest(),
  );
  private failures = 0;
  private failedAt = 0;
  private lastFailure = '';

  constructor(
    private readonly broker: Broker,
    private readonly store: OutboxStore,
    private readonly contracts: Contracts,
  ) {
    const { publishing } = broker;
    lookUp([metrics.brokerUp, metrics.brokerBlocked], () => [
      [metrics.brokerUp, Number(publishing.isUp)],
      [metrics.brokerBlocked, Number(publishing.blocked)],
    ]);
  }

  onApplicationBootstrap(): void {
    this.marking.start();
  }

  get room(): number {
    return this.broker.publisher.room;
  }

  /** Holds a producer up while it is faster than the broker, for 250 ms at most. */
  backpressure(): Promise<void> | undefined {
    return this.broker.publisher.backpressure();
  }

  /**
   * Publishes one message and waits for its confirm. Never throws: what fails is left to the relay.
   *
   * @returns whether the broker has it.
   */
  async publish(job: PendingMessage, to: Destination = {}): Promise<boolean> {
    let step: Step | undefined;
    try {
      const message = encode(job, this.contracts, to);
      step = sending(message);
      await this.broker.publisher.publish(message);
      step.end();
      // A retry stays in the outbox: should its retry queue have nowhere to send it when its time comes, the broker would try
      // again only every three minutes. The relay sends what is not claimed some seconds after its time.
      if (!to.retryDelay) this.current.push({ id: job.id, claim: job.claim });
      this.onSuccess();
      return true;
    } catch (error) {
      step?.end((error as Error).name);
      this.onFailure(error as Error);
      return false;
    }
  }

  /** Writes all confirms. Nest calls it when the worker has drained, and before the database is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.marking.stop();
    for (const _ of [...this.confirmed]) await this.markOldest();
  }

  private async markOldest(): Promise<void> {
    const oldest = this.confirmed.shift() as Confirmed[];
    this.current = [];
    this.confirmed.push(this.current);
    for (let start = 0; start < oldest.length; start += MARK_BATCH) {
      // A job that is not marked is published again, which is harmless.
      await this.store.markPublished(oldest.slice(start, start + MARK_BATCH)).catch(() => {});
    }
  }

  /** Logs once when publishing begins to fail or the cause changes, and once when it works again. */
  private onFailure(error: Error): void {
    this.failures++;
    metrics.publishFailures.inc();
    this.failedAt = performance.now();
    if (error.message === this.lastFailure) return;
    this.lastFailure = error.message;
    this.logger.warn(`Publish failed, the relay will retry: ${error.message}`);
  }

  private onSuccess(): void {
    // Some messages may succeed while others fail.
    if (this.failures === 0 || performance.now() - this.failedAt < QUIET_MS) return;
    this.logger.log({ msg: 'Publishing works again', leftToRelay: this.failures });
    this.failures = 0;
    this.lastFailure = '';
  }
}
