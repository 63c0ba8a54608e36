import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { ConsumeMessage } from 'amqplib';
import { settledWithin, untilAvailable, withTimeout } from '#common';
import { BrokerConnection } from './connection.js';
import { Consumer, type Delivery } from './consumer.js';
import { Publisher, type PublisherOptions } from './publisher.js';
import { rotateQueue } from './rotation.js';
import {
  bindQueue,
  checkTopology,
  codeOf,
  type DeclaredQueue,
  declareTopology,
  type Topology,
  TopologyError,
  unbindQueue,
} from './topology.js';

/** Counts are for display, and nobody waits longer for them. */
const COUNT_TIMEOUT_MS = 1_000;
/** A tool's first look into a queue opens the connection for it. */
const CONNECT_TIMEOUT_MS = 5_000;
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

  /** Declares a topology, once a broker answers; see {@link declareTopology}. @throws TopologyError */
  async declare(
    topology: Topology,
    signal?: AbortSignal,
    earlier: readonly DeclaredQueue[] = [],
  ): Promise<DeclaredQueue[]> {
    await this.publishing.whenUp(signal);
    return declareTopology(this.publishing, topology, earlier);
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
   * How many messages of a queue wait to be delivered, and how many consumers of it the broker knows, of all processes. One
   * that was cancelled counts until its last message is acknowledged.
   *
   * @returns undefined when no broker answers.
   */
  async count(queue: string): Promise<{ messages: number; consumers: number } | undefined> {
    // A blocked broker does not read the request.
    if (this.publishing.blocked) return undefined;
    const count = this.publishing.withChannel(async (channel) => {
      const { messageCount: messages, consumerCount: consumers } = await channel.checkQueue(queue);
      return { messages, consumers };
    });
    const orNone = count.catch((error) =>
      codeOf(error) === 404 ? { messages: 0, consumers: 0 } : undefined,
    );
    return withTimeout(orNone, COUNT_TIMEOUT_MS, () => undefined);
  }

  /**
   * Deletes a queue, unless it holds messages or has a consumer. It is unbound first, so that nothing comes meanwhile.
   *
   * @returns whether there is no such queue any more.
   */
  async delete(queue: DeclaredQueue): Promise<boolean> {
    await unbindQueue(this.publishing, queue);
    const isFree = await this.publishing
      .withChannel(async (channel) => {
        const { messageCount, consumerCount } = await channel.checkQueue(queue.name);
        if (messageCount > 0 || consumerCount > 0) return false;
        await channel.deleteQueue(queue.name);
        return true;
      })
      .catch((error) => {
        if (codeOf(error) !== 404) throw error;
        return true;
      });
    if (!isFree) await bindQueue(this.publishing, queue);
    return isFree;
  }

  /** Goes once through a queue; see {@link rotateQueue}. On the consuming connection, as it acknowledges. */
  async rotate(
    queue: string,
    extent: { count: number; batch: number },
    keep: (messages: ConsumeMessage[]) => Promise<void>,
  ): Promise<void> {
    this.consuming ??= new BrokerConnection(this.options.urls, 'consuming');
    await settledWithin(this.consuming.whenUp(), CONNECT_TIMEOUT_MS);
    await rotateQueue(this.consuming, queue, extent, keep);
  }

  /** Closes consumers and publisher, then the connections. Nest calls it last, when jobs and requests are done. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.consumers.map((consumer) => consumer.close()), this.publisher.close()]);
    await Promise.all([this.consuming?.close(), this.publishing.close()]);
  }
}
