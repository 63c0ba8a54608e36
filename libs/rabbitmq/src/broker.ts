import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { ConsumeMessage } from 'amqplib';
import { untilAvailable, withTimeout } from '#common';
import { BrokerConnection } from './connection.js';
import { Consumer, type Delivery } from './consumer.js';
import { Publisher, type PublisherOptions } from './publisher.js';
import { rotateQueue } from './rotation.js';
import { checkTopology, declareTopology, type Topology, TopologyError } from './topology.js';

/** Counts are for display, and nobody waits longer for them. */
const COUNT_TIMEOUT_MS = 1_000;
/** The broker logs each look at a queue that is missing. */
const CHECK_PAUSE_MS = 2_000;

/**
 * Publishes, consumes and checks the topology. Two connections: a broker short of memory reads nothing, not even
 * acknowledgements, from one that published.
 */
@Injectable()
export class Broker implements OnApplicationShutdown {
  private readonly logger = new Logger(Broker.name);
  readonly publishing: BrokerConnection;
  readonly publisher: Publisher;
  private consuming: BrokerConnection | undefined;
  private readonly consumers: Consumer[] = [];
  /** What {@link check} found last that does not fit. */
  private misfit: string | undefined;

  /** @param options.urls addresses of the broker; each is tried in turn. */
  constructor(private readonly options: { urls: readonly string[]; publisher?: PublisherOptions }) {
    this.publishing = new BrokerConnection(options.urls, 'publishing');
    this.publisher = new Publisher(this.publishing, options.publisher);
  }

  /**
   * Consumes a queue from now on.
   *
   * @param prefetch messages that may be in flight at once.
   */
  consume(queue: string, prefetch: number, onDelivery: (delivery: Delivery) => void): Consumer {
    this.consuming ??= new BrokerConnection(this.options.urls, 'consuming');
    const consumer = new Consumer(this.consuming, queue, prefetch, onDelivery);
    this.consumers.push(consumer);
    return consumer;
  }

  /** Declares a topology, once a broker answers; what stands already is left as it is. @throws TopologyError */
  async declare(topology: Topology, signal?: AbortSignal): Promise<void> {
    await this.publishing.whenUp(signal);
    await declareTopology(this.publishing, topology);
  }

  /** Waits until a broker answers and a topology stands, as it does once `npm run migrate` has run. */
  check(topology: Topology, signal: AbortSignal): Promise<void> {
    const check = async () => {
      await this.publishing.whenUp(signal);
      await checkTopology(this.publishing, topology).catch((error) => this.onMisfit(error));
      this.misfit = undefined;
    };
    return untilAvailable(check, signal, undefined, CHECK_PAUSE_MS);
  }

  /** Whether the topology is what this code needs, for readiness. What could not be looked at yet is not known to be another. */
  get fits(): true | string {
    return this.misfit === undefined || 'waits for `npm run migrate`';
  }

  private onMisfit(error: Error): never {
    if (error instanceof TopologyError && error.message !== this.misfit) {
      this.misfit = error.message;
      this.logger.warn(error.message);
    }
    throw error;
  }

  /**
   * How many messages of a queue wait to be delivered, at this moment.
   *
   * @throws BrokerUnavailableError when no broker answers; the broker's 404 when there is no such queue.
   */
  async countReady(queue: string): Promise<number> {
    return this.publishing.withChannel(async (channel) => (await channel.checkQueue(queue)).messageCount);
  }

  /**
   * How many consumers of a queue the broker knows, of all processes. One that was cancelled counts until its last
   * message is acknowledged.
   *
   * @returns undefined when no broker answers, or it has no such queue.
   */
  async countConsumers(queue: string): Promise<number | undefined> {
    // A blocked broker does not read the request.
    if (this.publishing.blocked) return undefined;
    const count = this.publishing.withChannel(
      async (channel) => (await channel.checkQueue(queue)).consumerCount,
    );
    return withTimeout(
      count.catch(() => undefined),
      COUNT_TIMEOUT_MS,
      () => undefined,
    );
  }

  /** Goes once through a queue; see {@link rotateQueue}. On the consuming connection, as it acknowledges. */
  async rotate(
    queue: string,
    extent: { count: number; batch: number },
    keep: (messages: ConsumeMessage[]) => Promise<void>,
  ): Promise<void> {
    this.consuming ??= new BrokerConnection(this.options.urls, 'consuming');
    await rotateQueue(this.consuming, queue, extent, keep);
  }

  /** Closes consumers and publisher, then the connections. Nest calls it last, when jobs and requests are done. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.consumers.map((consumer) => consumer.close()), this.publisher.close()]);
    await Promise.all([this.consuming?.close(), this.publishing.close()]);
  }
}
