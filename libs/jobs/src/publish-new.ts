import type { NewRecord } from '#records';
import type { Outbox } from './outbox.js';

/** Publishes a job that was just recorded, and makes the caller wait only while the broker is slower. Never throws. */
export function publishNew(outbox: Outbox, record: NewRecord): Promise<void> | undefined {
  void send(outbox, record);
  return outbox.backpressure();
}

/** The same for many: as many at once as the publish window takes; the rest is left to the relay. */
export async function publishMany(outbox: Outbox, records: readonly NewRecord[]): Promise<void> {
  void publishInParts(outbox, records);
  await outbox.backpressure();
}

async function publishInParts(outbox: Outbox, records: readonly NewRecord[]): Promise<void> {
  for (let next = 0; next < records.length && outbox.room > 0; ) {
    // Half of the room, so that single jobs get through during a large batch.
    const part = records.slice(next, next + Math.ceil(outbox.room / 2));
    next += part.length;
    await Promise.all(part.map((record) => send(outbox, record)));
  }
}

const send = (outbox: Outbox, { id, name, queue, payload, version, priority, traceparent }: NewRecord) =>
  outbox.publish({ id, name, queue, payload, version, priority, traceparent, attempt: 1, claim: 0 });
