import type { Channel, ConsumeMessage } from 'amqplib';
import { settledWithin } from '#common';
import type { BrokerConnection } from './connection.js';

/** When no message comes for this long, the queue is shorter than was thought; 10 MB take a busy broker seconds. */
const QUIET_MS = 5_000;

/**
 * Goes once through the first messages of a queue and decides for each whether it stays. What stays is published
 * again, to the tail, by `keep`; only then is the delivered copy acknowledged. So the memory that this takes is that
 * of one batch, however long the queue, and a crash leaves a message twice rather than not at all.
 *
 * The consumer is exclusive: the broker lets only one at a time do this.
 *
 * @param count how many messages to go through: those that lie there now.
 * @param batch how many are decided on at once.
 * @param keep is given a batch, and resolves when all that is to stay is published and confirmed.
 * @throws what the broker or `keep` failed with; messages that were not decided on are still there.
 */
export async function rotateQueue(
  connection: BrokerConnection,
  queue: string,
  { count, batch }: { count: number; batch: number },
  keep: (messages: ConsumeMessage[]) => Promise<void>,
): Promise<void> {
  await connection.withChannel(async (channel) => {
    const inbox = new Inbox(channel);
    await channel.prefetch(Math.min(batch, count), false);
    await channel.consume(queue, (message) => inbox.add(message), { exclusive: true });
    for (let left = count; left > 0; ) {
      const messages = await inbox.take(Math.min(batch, left));
      const last = messages.at(-1);
      if (!last) return;
      await keep(messages);
      channel.ack(last, true);
      left -= messages.length;
    }
  });
}

/** Collects deliveries until as many are there as are wanted, none comes any more, or the channel is lost. */
class Inbox {
  private readonly messages: ConsumeMessage[] = [];
  private failure: Error | undefined;
  private wake: () => void = () => {};

  constructor(channel: Channel) {
    const fail = (error?: Error) => {
      this.failure ??= error ?? new Error('the channel was closed');
      this.wake();
    };
    channel.on('error', fail);
    channel.on('close', () => fail());
  }

  add(message: ConsumeMessage | null): void {
    if (message) this.messages.push(message);
    else this.failure ??= new Error('the broker cancelled the consumer');
    this.wake();
  }

  async take(wanted: number): Promise<ConsumeMessage[]> {
    for (let isQuiet = false; this.messages.length < wanted && !isQuiet && !this.failure; ) {
      const woken = new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      isQuiet = !(await settledWithin(woken, QUIET_MS));
    }
    if (this.failure) throw this.failure;
    return this.messages.splice(0, wanted);
  }
}
