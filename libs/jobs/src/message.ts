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
import { type DueRecord, isStorable } from '#records';
import { readTraceparent } from '#telemetry';
import type { Contracts } from './contracts.js';
import { isTooDeep } from './payload.js';

/**
 * Jobs on the wire. A message is the payload as JSON; `messageId` is the job's id, `type` its contract, `x-attempt`
 * the attempt that it stands for. Any AMQP client can publish one, so everything that is decoded here is checked.
 */

/** Longer payloads stay in the record and the message carries none: quorum queues keep whole messages in their log. */
export const CLAIM_CHECK_BYTES = 128 * 1024;

const ATTEMPT_HEADER = 'x-attempt';
/** W3C Trace Context. */
export const TRACEPARENT_HEADER = 'traceparent';
const CLAIM_CHECK_HEADER = 'x-claim-check';
/** Why a message is a dead letter. */
export const REASON_HEADER = 'x-dead-reason';
/** Workers of older versions set it on a dead letter without a record, which may have the id of a job. */
const NO_RECORD_HEADER = 'x-no-record';
const REASON_LENGTH = 1_000;
const MAX_ATTEMPT = 1_000_000;
/** Bookkeeping of the broker, which starts again with each publish; and the keys to which it would send copies. */
const BROKER_HEADERS = /^(CC|BCC|x-(death|first-death-.*|last-death-.*|delivery-count|acquired-count))$/;
/** Headers that are set again when a message is republished. */
const OWN_HEADERS = new Set([ATTEMPT_HEADER, CLAIM_CHECK_HEADER, REASON_HEADER, NO_RECORD_HEADER]);

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
  /** What was received, for a message that was unprocessable: it is this that is published. */
  received?: DueRecord['received'];
}

/**
 * The headers of most messages, shared: amqplib makes a prototype of what it is given, and a new prototype for each
 * message was measured to be a third of all that there is to encode.
 */
const PLAIN_HEADERS = Object.freeze({ [ATTEMPT_HEADER]: 1 });

/** Where a message goes: to its queue; or to its retry queue, when there is a delay; or, with a reason, to the dead letters. */
export interface Destination {
  retryDelay?: Duration;
  deadReason?: string;
}

/** Makes the message that brings a job to where it should go. */
export function encode(
  { id, name, queue, attempt, payload, priority, traceparent, received }: JobMessage,
  contracts: Contracts,
  to: Destination = {},
): OutgoingMessage {
  const bytes = received ? received.body : payload === null ? null : Buffer.from(payload as string);
  // A message that was received goes back as it is, but a dead-letter queue need not hold it whole.
  const limit = received && to.deadReason === undefined ? Number.POSITIVE_INFINITY : CLAIM_CHECK_BYTES;
  const content = bytes && bytes.length <= limit ? bytes : undefined;
  const isPlain = attempt === 1 && content && !traceparent && !received && isEmpty(to);
  const headers: Record<string, unknown> = isPlain ? PLAIN_HEADERS : { [ATTEMPT_HEADER]: attempt };
  if (!content) headers[CLAIM_CHECK_HEADER] = true;
  if (traceparent) headers[TRACEPARENT_HEADER] = traceparent;
  if (to.retryDelay) headers[RETRY_DELAY_HEADER] = formatDuration(toMilliseconds(to.retryDelay));
  if (to.deadReason !== undefined) headers[REASON_HEADER] = to.deadReason.slice(0, REASON_LENGTH);

  // A queue whose priorities were removed has only the normal one.
  const level = contracts.prioritised.has(queue) ? priority : undefined;
  const ownQueue = contracts.find(name)?.queue === queue && (level ?? 'normal') === 'normal';
  // A received message goes to its former queue or routing key, whatever the contract says now.
  const home = ownQueue && !received ? name : directRoutingKey(queue, name, level);
  const isUnroutable = queue === EXCHANGE.unroutable;
  return {
    exchange: to.deadReason !== undefined ? EXCHANGE.dead : to.retryDelay ? EXCHANGE.retry : EXCHANGE.jobs,
    routingKey: to.deadReason !== undefined ? queue : received && isUnroutable ? received.routingKey : home,
    content: content ?? Buffer.alloc(0),
    ...(received && { bareHeaders: headers }),
    properties: received
      ? {
          ...sentProperties(received.properties),
          messageId: id,
          headers: { ...sentHeaders(received.headers), ...headers },
        }
      : {
          messageId: id,
          type: name,
          contentType: 'application/json',
          timestamp: Math.floor(Date.now() / 1000),
          headers,
        },
  };
}

const isEmpty = ({ retryDelay, deadReason }: Destination) => !retryDelay && deadReason === undefined;

const sentHeaders = (headers: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => !BROKER_HEADERS.test(name) && !OWN_HEADERS.has(name)),
  );

/** The broker closes the channel of a client that publishes under another user's name. Whatever is published again is persistent. */
function sentProperties(properties: object): Record<string, unknown> {
  const unsent = new Set(['expiration', 'userId', 'deliveryMode', 'headers']);
  return Object.fromEntries(
    Object.entries(properties).filter(([name, value]) => !unsent.has(name) && value !== undefined),
  );
}

/** A message in a dead-letter queue. */
export interface DeadLetter {
  /** The messageId in lower case, which is the id of a job of ours or anything else. */
  id: string;
  name: string;
  /** The attempt that it stands for; of a foreign message anything. */
  attempt: unknown;
  /** Its own header's reason. */
  reason: string;
  /** The broker or a client put it there. */
  byBroker: boolean;
  /** A worker of an older version put it there and made no record. */
  isUnrecorded: boolean;
  message: Delivery['message'];
}

/** Reads a message in a dead-letter queue, which may be anything. */
export function readDeadLetter(message: Delivery['message']): DeadLetter {
  const { messageId, type, headers = {} } = message.properties;
  const given = headers[REASON_HEADER];
  return {
    id: String(messageId ?? '').toLowerCase(),
    name: usableName(type),
    attempt: headers[ATTEMPT_HEADER] ?? 1,
    reason: String(given ?? headers['x-first-death-reason'] ?? 'published to the dead-letter queue'),
    byBroker: given === undefined,
    isUnrecorded: headers[NO_RECORD_HEADER] === true,
    message,
  };
}

const MAX_NAME_BYTES = 100;

/** The name of the record of a message with this type: `unknown` if it cannot be a name. */
export const usableName = (type: unknown): string =>
  typeof type === 'string' && /^[^\p{Cc}\p{Cs}]+$/u.test(type) && Buffer.byteLength(type) <= MAX_NAME_BYTES
    ? type
    : 'unknown';

/** Makes the message that returns a dead letter to its dead-letter queue. */
export function returnDeadLetter(
  { id, attempt, reason, message }: DeadLetter,
  queue: string,
): OutgoingMessage {
  const { content, properties } = message;
  const isLong = content.length > CLAIM_CHECK_BYTES;
  const isClaimCheck = isLong || properties.headers?.[CLAIM_CHECK_HEADER] === true;
  const bareHeaders = {
    [ATTEMPT_HEADER]: attempt,
    [REASON_HEADER]: reason.slice(0, REASON_LENGTH),
    ...(isClaimCheck && { [CLAIM_CHECK_HEADER]: true }),
  };
  return {
    exchange: EXCHANGE.dead,
    routingKey: queue,
    content: isLong ? Buffer.alloc(0) : content,
    bareHeaders,
    properties: {
      ...sentProperties(properties),
      messageId: id,
      headers: { ...sentHeaders(properties.headers ?? {}), ...bareHeaders },
    },
  };
}

/** A message that was decoded. */
export interface IncomingJob extends JobMessage {
  /** The payload as JSON text, and as the value that it stands for; null and undefined for a claim check. */
  payload: string | null;
  value: unknown;
  /** Why the payload was not read, where it was too long to be. */
  lacks?: string;
  traceparent?: string;
}

/** A message as it was delivered from a work queue, or from the queue of one of its priorities. */
export interface JobDelivery extends Delivery {
  /** The work queue, without the priority. */
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
): IncomingJob | { unreadable: string } {
  const { content, properties } = message;
  const { messageId, type, contentType, contentEncoding, headers = {} } = properties;
  const attempt = headers[ATTEMPT_HEADER] ?? 1;
  const unreadable = (unreadable: string) => ({ unreadable });

  if (typeof messageId !== 'string' || !isUuid(messageId))
    return unreadable('messageId is missing or not a UUID');
  if (typeof type !== 'string' || type === '')
    return unreadable('type is missing: it must name the contract');
  if (!isStorable(type)) return unreadable('type contains NUL');
  if (!Number.isInteger(attempt) || attempt < 1 || attempt > MAX_ATTEMPT) {
    return unreadable(
      `${ATTEMPT_HEADER} is not a valid attempt: expected an integer from 1 to ${MAX_ATTEMPT}`,
    );
  }
  if (contentType !== undefined && !/^application\/json\s*(;|$)/i.test(contentType)) {
    return unreadable(`contentType is ${JSON.stringify(contentType)}: expected application/json`);
  }
  if (contentEncoding !== undefined && !/^(utf-?8|identity)?$/i.test(contentEncoding)) {
    return unreadable(`contentEncoding is ${JSON.stringify(contentEncoding)}: expected none`);
  }
  const traceparent = readTraceparent(headers[TRACEPARENT_HEADER]);
  const arrival = (payload: string | null, value?: unknown, lacks?: string): IncomingJob => ({
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
  // The record may have its payload, if MAX_PAYLOAD was larger when it was accepted.
  if (content.length > maxPayload)
    return arrival(null, undefined, `the body is longer than ${maxPayload} bytes (MAX_PAYLOAD)`);
  if (headers[CLAIM_CHECK_HEADER] === true && content.length === 0) return arrival(null);
  const body = readBody(content);
  return 'unreadable' in body ? body : arrival(body.payload, body.value);
}

/** Reads a body as JSON. @returns its text and its value, or why it is not valid. */
export function readBody(content: Buffer): { payload: string; value: unknown } | { unreadable: string } {
  try {
    const payload = utf8.decode(content);
    if (isTooDeep(payload)) return { unreadable: 'the body is nested too deeply' };
    return { payload, value: parse(payload) };
  } catch (error) {
    return {
      unreadable: `the body is not valid JSON in UTF-8: ${unquoted((error as Error).message).slice(0, 200)}`,
    };
  }
}

/** A parser's message without its quote of the body: reasons are logged, bodies are not. */
const unquoted = (message: string) => message.replace(/(, )?(\.\.\.)?".*"(\.\.\.)?/s, '');
