import { Logger } from '@nestjs/common';
import type { Channel, ConsumeMessage } from 'amqplib';
import type { BrokerConnection } from './connection.js';

/** One message as it was delivered, and the one way to be done with it. */
export interface Delivery {
  readonly queue: string;
  readonly message: ConsumeMessage;
  /** Tells the broker that the message is done with. Does nothing when the channel that delivered it is gone. */
  ack(): void;
}

/**
 * Consumes one queue, with a prefetch limit, for as long as the connection lives: it attaches again after a loss of
 * the connection, of its channel, or of the consumer alone (the broker then sends `null` and leaves the channel open,
 * for example when a queue was deleted or a message was held for too long).
 *
 * A message that is not acknowledged when the channel closes goes back to the queue. That is the only way in which
 * messages are given back: a nack with requeue is a hot loop, and brokers do not agree on how to count it.
 */
export class Consumer {
  private readonly logger = new Logger(Consumer.name);
  private channel: Channel | undefined;
  private consumerTag: string | undefined;
  private stopping = false;
  private readonly closeChannel: () => Promise<void>;

  /**
   * @param prefetch messages that may be at hand at once; the broker sends no more until one is acknowledged.
   * @param onDelivery called for each message; it must not throw.
   */
  constructor(
    connection: BrokerConnection,
    readonly queue: string,
    private readonly prefetch: number,
    private readonly onDelivery: (delivery: Delivery) => void,
  ) {
    this.closeChannel = connection.keepChannel(`consume ${queue}`, (channel) => this.attach(channel));
  }

  /** Whether the broker counts this consumer at the moment. */
  get isAttached(): boolean {
    return this.consumerTag !== undefined;
  }

  /** Asks the broker for no more messages; those at hand can still be acknowledged. */
  async stop(): Promise<void> {
    this.stopping = true;
    const tag = this.consumerTag;
    this.consumerTag = undefined;
    if (tag) await this.channel?.cancel(tag).catch(() => {});
  }

  /** Closes the channel: what was not acknowledged goes back to the queue. */
  async close(): Promise<void> {
    await this.stop();
    await this.closeChannel();
  }

  private async attach(channel: Channel): Promise<void> {
    if (this.stopping) return;
    const acknowledge = acknowledger(channel);
    channel.once('close', () => {
      if (this.channel === channel) this.channel = this.consumerTag = undefined;
    });
    await channel.prefetch(this.prefetch, false);
    this.channel = channel;
    const { consumerTag } = await channel.consume(this.queue, (message) => {
      if (message) return this.onDelivery({ queue: this.queue, message, ack: acknowledge(message) });
      this.logger.warn(`The broker cancelled the consumer of ${this.queue}`);
      this.consumerTag = undefined;
      // A new channel is the one way of attaching again; messages still at hand are delivered again, and dropped.
      void channel.close().catch(() => {});
    });
    if (this.channel === channel) this.consumerTag = consumerTag;
    this.logger.log(`Consuming ${this.queue}, at most ${this.prefetch} at once`);
  }
}

/**
 * Collects acknowledgements of one turn of the event loop and sends the contiguous prefix of them as one `multiple`
 * acknowledgement, the rest one by one. Measured: 67 against 43 thousand a second at a prefetch of 250; and a
 * queue closed right after single acknowledgements gave some of them again, which `multiple` did not.
 */
function acknowledger(channel: Channel): (message: ConsumeMessage) => () => void {
  let open = true;
  let scheduled = false;
  /** The oldest delivery that the broker still waits for; delivery tags count up from 1 on each channel. */
  let oldest = 1;
  const waiting = new Map<number, ConsumeMessage>();
  const sentAlone = new Set<number>();
  channel.once('close', () => {
    open = false;
  });

  const flush = () => {
    scheduled = false;
    if (!open) return;
    let last: ConsumeMessage | undefined;
    for (; waiting.has(oldest) || sentAlone.has(oldest); oldest++) {
      last = waiting.get(oldest) ?? last;
      waiting.delete(oldest);
      sentAlone.delete(oldest);
    }
    if (last) channel.ack(last, true);
    for (const [tag, message] of waiting) {
      channel.ack(message);
      sentAlone.add(tag);
    }
    waiting.clear();
  };

  return (message) => () => {
    if (!open) return;
    waiting.set(message.fields.deliveryTag, message);
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };
}
