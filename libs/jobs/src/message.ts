import { parse } from 'secure-json-parse';
import { validate as isUuid } from 'uuid';
import { type Duration, formatDuration, type Priority, toMilliseconds } from '#define-job';
import {
  type Delivery,
  directRoutingKey,
  EXCHANGE,
  type OutgoingMessage,
  RETRY_DELAY_HEADER,
} from '#rabbitmq';
import { isStorable } from '#records';
import { readTraceparent } from '#telemetry';
import type { Contracts } from './contracts.js';
import { isTooDeep } from './payload.js';

/**
 * Jobs on the wire. A message is the payload as JSON; `messageId` is the job's id, `type` its contract, `x-attempt`
 * the attempt that it stands for. Whatever speaks AMQP can publish one. Everything that is decoded here came from
 * outside and is checked.
 */

/** Longer payloads stay in the record and the message carries none: quorum queues keep whole messages in their log. */
export const CLAIM_CHECK_BYTES = 128 * 1024;

const ATTEMPT_HEADER = 'x-attempt';
/** W3C Trace Context. */
export const TRACEPARENT_HEADER = 'traceparent';
const CLAIM_CHECK_HEADER = 'x-claim-check';
/** Why a message is a dead letter. */
export const REASON_HEADER = 'x-dead-reason';
/** Says that no record stands for a dead letter, though it may name the id of a job that has one. */
export const NO_RECORD_HEADER = 'x-no-record';
const REASON_LENGTH = 1_000;
const MAX_ATTEMPT = 1_000_000;
/** Bookkeeping of the broker, which starts anew with each publish; and the keys to which it would send copies. */
const BROKER_HEADERS = /^(CC|BCC|x-(death|first-death-.*|last-death-.*|delivery-count|acquired-count))$/;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A job as it goes into a message. */
export interface JobMessage {
  id: string;
  name: string;
  queue: string;
  attempt: number;
  /** JSON text or its bytes; null for a claim check. */
  payload: string | Buffer | null;
  /** `normal` when absent. */
  priority?: Priority;
  traceparent?: string | null;
}

/**
 * The headers of most messages, shared: amqplib makes a prototype of what it is given, and a new prototype for each
 * message was measured to be a third of all that there is to encode.
 */
const PLAIN_HEADERS = Object.freeze({ [ATTEMPT_HEADER]: 1 });

/** Makes the message that brings a job to its queue; or to its retry queue, when there is a delay; or, with a reason, to the dead letters. */
export function encode(
  { id, name, queue, attempt, payload, priority, traceparent }: JobMessage,
  contracts: Contracts,
  to: { retryDelay?: Duration; deadReason?: string } = {},
): OutgoingMessage {
  const content = payload === null ? Buffer.alloc(0) : Buffer.from(payload as string);
  const carried = payload !== null && content.length <= CLAIM_CHECK_BYTES;
  const isPlain = attempt === 1 && carried && !traceparent && !to.retryDelay && to.deadReason === undefined;
  const headers: Record<string, unknown> = isPlain ? PLAIN_HEADERS : { [ATTEMPT_HEADER]: attempt };
  if (!carried) headers[CLAIM_CHECK_HEADER] = true;
  if (traceparent) headers[TRACEPARENT_HEADER] = traceparent;
  if (to.retryDelay) headers[RETRY_DELAY_HEADER] = formatDuration(toMilliseconds(to.retryDelay));
  if (to.deadReason !== undefined) headers[REASON_HEADER] = to.deadReason.slice(0, REASON_LENGTH);

  // A queue whose priorities were taken away has only its normal one.
  const lane = contracts.prioritised.has(queue) ? priority : undefined;
  const ownQueue = contracts.find(name)?.queue === queue && (lane ?? 'normal') === 'normal';
  return {
    exchange: to.deadReason !== undefined ? EXCHANGE.dead : to.retryDelay ? EXCHANGE.retry : EXCHANGE.jobs,
    routingKey: to.deadReason !== undefined ? queue : ownQueue ? name : directRoutingKey(queue, name, lane),
    content: carried ? content : Buffer.alloc(0),
    properties: {
      messageId: id,
      type: name,
      contentType: 'application/json',
      timestamp: Math.floor(Date.now() / 1000),
      headers,
    },
  };
}

/**
 * A message as it was delivered, kept as it is but for the broker's own bookkeeping, on its way to the dead letters.
 * `userId` goes too: the broker closes the channel of whoever publishes under another user's name.
 *
 * @param bare the bytes only, for a message whose properties cannot be sent again, such as headers of almost 64 KiB.
 */
export function encodeUnreadable(
  { queue, message }: Pick<Delivery, 'queue' | 'message'>,
  reason: string,
  bare = false,
): OutgoingMessage {
  const {
    headers = {},
    expiration: _,
    userId: __,
    ...properties
  }: Partial<typeof message.properties> = bare ? {} : message.properties;
  const kept = Object.entries(headers).filter(([name]) => !BROKER_HEADERS.test(name));
  return {
    exchange: EXCHANGE.dead,
    routingKey: queue,
    content: message.content,
    properties: {
      ...properties,
      messageId: properties.messageId ?? '',
      headers: { ...Object.fromEntries(kept), [REASON_HEADER]: reason.slice(0, REASON_LENGTH) },
    },
  };
}

/** The same for a message that a worker cannot make a job of: whatever its id, no record stands for it. */
export function encodeStranger(...from: Parameters<typeof encodeUnreadable>): OutgoingMessage {
  const message = encodeUnreadable(...from);
  const { headers, ...properties } = message.properties;
  return { ...message, properties: { ...properties, headers: { ...headers, [NO_RECORD_HEADER]: true } } };
}

/** A message in a dead-letter queue. */
export interface DeadLetter {
  /** The job's id, in lower case; whatever stands there when it is no job of ours. */
  id: string;
  reason: string;
  /** The broker put it there, not a worker. */
  byBroker: boolean;
  /** Its id means nothing: no worker could make a job of it. */
  isStranger: boolean;
  message: Delivery['message'];
}

/** Reads what lies in a dead-letter queue; it may be anything. */
export function readDeadLetter(message: Delivery['message']): DeadLetter {
  const { messageId, headers = {} } = message.properties;
  const ours = headers[REASON_HEADER];
  return {
    id: String(messageId ?? '').toLowerCase(),
    reason: String(ours ?? headers['x-first-death-reason'] ?? 'unknown'),
    byBroker: ours === undefined,
    isStranger: headers[NO_RECORD_HEADER] === true,
    message,
  };
}

/** Makes the message that puts a dead letter back to where it lay. */
export function returnDeadLetter({ message, reason }: DeadLetter, queue: string): OutgoingMessage {
  return encodeUnreadable({ queue, message }, reason);
}

/** A message that makes sense. */
export interface Arrival extends JobMessage {
  /** The payload as JSON text, and as the value that it stands for; null and undefined for a claim check. */
  payload: string | null;
  value: unknown;
  /** Why the payload was not read, where it was too long to be. */
  lacks?: string;
  traceparent?: string;
}

/** A message as it was delivered from a work queue, or from the queue of one of its priorities. */
export interface JobDelivery extends Delivery {
  /** The work queue, whatever the priority. */
  readonly queue: string;
  readonly priority?: Priority;
}

/**
 * Reads a delivered message.
 *
 * @param maxPayload bytes of the longest body that is looked into.
 * @returns what it stands for, or a sentence on why it cannot be understood.
 */
export function decode(
  { queue, priority, message }: Pick<JobDelivery, 'queue' | 'priority' | 'message'>,
  maxPayload = Number.POSITIVE_INFINITY,
): Arrival | { unreadable: string } {
  const { content, properties } = message;
  const { messageId, type, contentType, contentEncoding, headers = {} } = properties;
  const attempt = headers[ATTEMPT_HEADER] ?? 1;
  const unreadable = (unreadable: string) => ({ unreadable });

  if (typeof messageId !== 'string' || !isUuid(messageId))
    return unreadable('messageId is missing or no UUID');
  if (typeof type !== 'string' || type === '')
    return unreadable('type is missing: it must name the contract');
  if (!isStorable(type)) return unreadable('type contains NUL');
  if (!Number.isInteger(attempt) || attempt < 1 || attempt > MAX_ATTEMPT) {
    return unreadable(`${ATTEMPT_HEADER} is no attempt: expected an integer from 1 to ${MAX_ATTEMPT}`);
  }
  if (contentType !== undefined && !/^application\/json\s*(;|$)/i.test(contentType)) {
    return unreadable(`contentType is ${JSON.stringify(contentType)}: expected application/json`);
  }
  if (contentEncoding !== undefined && !/^(utf-?8|identity)?$/i.test(contentEncoding)) {
    return unreadable(`contentEncoding is ${JSON.stringify(contentEncoding)}: expected none`);
  }
  const traceparent = readTraceparent(headers[TRACEPARENT_HEADER]);
  const arrival = (payload: string | null, value?: unknown, lacks?: string): Arrival => ({
    id: messageId.toLowerCase(),
    name: type,
    queue,
    priority,
    attempt,
    traceparent,
    payload,
    value,
    lacks,
  });
  // One that was accepted while more was allowed has its payload in its record.
  if (content.length > maxPayload)
    return arrival(null, undefined, `the body is longer than ${maxPayload} bytes (MAX_PAYLOAD)`);
  if (headers[CLAIM_CHECK_HEADER] === true && content.length === 0) return arrival(null);
  try {
    const payload = utf8.decode(content);
    if (isTooDeep(payload)) return unreadable('the body is nested too deeply');
    return arrival(payload, parse(payload));
  } catch (error) {
    return unreadable(`the body is no JSON in UTF-8: ${unquoted((error as Error).message).slice(0, 200)}`);
  }
}

/** What a parser says without the part of the body that it quotes: reasons are logged, and bodies are not. */
const unquoted = (message: string) => message.replace(/(, )?(\.\.\.)?".*"(\.\.\.)?/s, '');
