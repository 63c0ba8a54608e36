import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { BrokerConnection } from './connection.js';
import { Consumer, type Delivery } from './consumer.js';
import { Publisher } from './publisher.js';
import { MODULE_OPTIONS_TOKEN, type RabbitMQOptions } from './rabbitmq.module-definition.js';
import { checkTopology, type Topology } from './topology.js';

/**
 * What an app does with the broker: publish, consume, and see that the topology stands. Publishing and consuming
 * have a connection each, because a broker that is short of memory reads nothing from a connection that published,
 * not even acknowledgements.
 */
@Injectable()
export class Broker implements OnApplicationShutdown {
  private readonly logger = new Logger(Broker.name);
  readonly publishing: BrokerConnection;
  readonly publisher: Publisher;
  private consuming: BrokerConnection | undefined;
  private readonly consumers: Consumer[] = [];

  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: RabbitMQOptions) {
    this.publishing = new BrokerConnection(options.urls, 'publishing');
    this.publisher = new Publisher(this.publishing, options.publisher);
  }

  /**
   * Consumes a queue from now on.
   *
   * @param prefetch messages that may be at hand at once.
   */
  consume(queue: string, prefetch: number, onDelivery: (delivery: Delivery) => void): Consumer {
    this.consuming ??= new BrokerConnection(this.options.urls, 'consuming');
    const consumer = new Consumer(this.consuming, queue, prefetch, onDelivery);
    this.consumers.push(consumer);
    return consumer;
  }

  /** Checks that a topology stands, once a broker answers; tries again when the connection is lost meanwhile. @throws TopologyError */
  async check(topology: Topology, signal?: AbortSignal): Promise<void> {
    for (;;) {
      await this.publishing.whenUp(signal);
      try {
        return await checkTopology(this.publishing, topology);
      } catch (error) {
        if (this.publishing.isUp) throw error;
        this.logger.warn('The connection was lost while the topology was checked; checking again');
      }
    }
  }

  /** Closes consumers and publisher, then the connections. Nest calls it last, when jobs and requests are done. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.consumers.map((consumer) => consumer.close()), this.publisher.close()]);
    await Promise.all([this.consuming?.close(), this.publishing.close()]);
  }
}
