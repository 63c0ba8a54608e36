import { createHash } from 'node:crypto';
import { directRoutingKey, EXCHANGE, type OutgoingMessage } from '#rabbitmq';
import type { ForeignLetter } from '#records';
import { type DeadLetter, encodeUnreadable, NO_RECORD_HEADER, REASON_HEADER } from './message.js';
import { redact } from './redact.js';

/** Letters that no record stands for: how they are known, described, and sent back. */

/** What is kept of a body for people to look at; and of each header, of which there may be 64 KiB. */
const SHOWN_BYTES = 4_096;
const SHOWN_HEADERS = 50;
const SHOWN_CHARACTERS = 200;
/** The part of a routing key that says only that it was chosen here. */
const REPLAYED = 'replayed';

/**
 * Describes a letter. Its id is a hash of what its sender gave it: a `messageId` may be missing, or anything, and
 * copies of the same message cannot be told apart anyway.
 */
export function describeLetter(letter: DeadLetter, queue: string): ForeignLetter {
  const { content, fields } = letter.message;
  const { headers, ...properties } = sentProperties(letter, queue);
  const isUnroutable = queue === EXCHANGE.unroutable;
  const reason = isUnroutable ? `No queue takes "${fields.routingKey}"` : letter.reason;
  const carried = JSON.stringify([properties, headers, isUnroutable && fields.routingKey]);
  return {
    queue,
    id: createHash('sha256').update(carried).update(content).digest('hex').slice(0, 32),
    // PostgreSQL takes no text with NUL in it.
    reason: reason.replaceAll('\0', '\ufffd'),
    properties: shown(properties),
    headers: shown(headers),
    size: content.length,
    body: shownBody(content),
  };
}

/** Makes the message that brings a letter back to the queue, or to the binding, that it was meant for. */
export function replayLetter(letter: DeadLetter, queue: string): OutgoingMessage {
  const { routingKey } = letter.message.fields;
  return {
    exchange: EXCHANGE.jobs,
    routingKey: queue === EXCHANGE.unroutable ? routingKey : directRoutingKey(queue, REPLAYED),
    content: letter.message.content,
    properties: { ...sentProperties(letter, queue), messageId: letter.message.properties.messageId ?? '' },
  };
}

/** What the sender gave the message, without what the broker and the dead-lettering added. */
function sentProperties({ message }: DeadLetter, queue: string) {
  const { headers = {}, ...properties } = encodeUnreadable({ queue, message }, '').properties;
  const { [REASON_HEADER]: _, [NO_RECORD_HEADER]: __, ...sent } = headers as Record<string, unknown>;
  // Whatever is published again is persistent.
  const given = Object.entries({
    ...properties,
    messageId: properties.messageId || undefined,
    deliveryMode: undefined,
  });
  return { ...Object.fromEntries(given.filter(([, value]) => value !== undefined)), headers: sent };
}

/** The beginning of a body, without what its keys tell to be secret where it is JSON; its message keeps them. */
function shownBody(content: Buffer): Buffer {
  try {
    const value = JSON.parse(content.toString());
    const bare = redact(value);
    if (bare !== value) return Buffer.from(JSON.stringify(bare)).subarray(0, SHOWN_BYTES);
  } catch {
    // No JSON: nothing tells what would be secret in it.
  }
  return content.subarray(0, SHOWN_BYTES);
}

/** Values that may be anything, for people: no more and no longer ones than they would read. */
function shown(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values)
      .slice(0, SHOWN_HEADERS)
      .map(([name, value]) => {
        if (typeof value === 'number' || typeof value === 'boolean' || value === null) return [name, value];
        const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
        return [name, text.slice(0, SHOWN_CHARACTERS)];
      }),
  );
}
