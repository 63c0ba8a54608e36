import type { Channel, GetMessage, Message } from 'amqplib';
import type { BrokerConnection } from './connection.js';

/**
 * Goes once through the first messages of a queue and decides for each whether it stays. What stays is published
 * again, to the tail, by `keep`; only then is the delivered copy acknowledged. So the memory that this takes is that
 * of one batch, however long the queue, and a crash leaves a message twice rather than not at all.
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
  keep: (messages: Message[]) => Promise<void>,
): Promise<void> {
  await connection.withChannel(async (channel) => {
    for (let left = count; left > 0; ) {
      const messages = await take(channel, queue, Math.min(batch, left));
      const last = messages.at(-1);
      if (!last) return;
      await keep(messages);
      channel.ack(last, true);
      left -= messages.length;
    }
  });
}

/** Takes so many messages, or as many as there are. */
async function take(channel: Channel, queue: string, wanted: number): Promise<GetMessage[]> {
  const messages: GetMessage[] = [];
  while (messages.length < wanted) {
    const message = await channel.get(queue);
    if (!message) break;
    messages.push(message);
  }
  return messages;
}
