import { type Duration, FIRST_VERSION, formatDuration, type Priority, toMilliseconds } from '#define-job';
import {
  type Delivery,
  directRoutingKey,
  EXCHANGE,
  type OutgoingMessage,
  RETRY_DELAY_HEADER,
} from '#rabbitmq';
import type { DueRecord } from '#records';
import { traceHeadersOf } from '#telemetry';
import type { Contracts } from './contracts.js';

/** Jobs on the wire, as they are written; `decode.ts` reads them. docs/lifecycle.md has the properties and headers. */

/** Longer payloads stay in the record and the message carries none: quorum queues keep whole messages in their log. */
export const CLAIM_CHECK_BYTES = 128 * 1024;

export const ATTEMPT_HEADER = 'x-attempt';
export const VERSION_HEADER = 'x-version';
export const CLAIM_CHECK_HEADER = 'x-claim-check';
export const REASON_HEADER = 'x-dead-reason';
export const REASON_LENGTH = 1_000;
/** Bookkeeping of the broker, which starts again with each publish; and the keys to which it would send copies. */
const BROKER_HEADERS = /^(CC|BCC|x-(death|first-death-.*|last-death-.*|delivery-count|acquired-count))$/;
/** Headers that are set again when a message is republished. */
const OWN_HEADERS = new Set([ATTEMPT_HEADER, CLAIM_CHECK_HEADER, REASON_HEADER]);

export interface JobMessage {
  id: string;
  name: string;
  queue: string;
  attempt: number;
  /** JSON text or its bytes; null for a claim check. */
  payload: string | Buffer | null;
  /** Of the contract that the payload is of; 1 when absent. */
  version?: number;
  /** `normal` when absent. */
  priority?: Priority;
  /** The context of its trace, as the record has it. */
  traceparent?: string | null;
  /** What was received, for a message that was unprocessable: it is this that is published. */
  received?: DueRecord['received'];
}

/** Shared by most messages: amqplib makes a prototype of each headers object, which was a third of all encoding. */
const PLAIN_HEADERS = Object.freeze({ [ATTEMPT_HEADER]: 1 });

/** Where a message goes: to its queue; or to its retry queue, when there is a delay; or, with a reason, to the dead letters. */
export interface Destination {
  retryDelay?: Duration;
  deadReason?: string;
}

/** Makes the message that brings a job to where it should go. */
export function encode(job: JobMessage, contracts: Contracts, to: Destination = {}): OutgoingMessage {
  const { id, name, attempt, payload, version = FIRST_VERSION, traceparent, received } = job;
  const bytes = received ? received.body : payload === null ? null : Buffer.from(payload as string);
  // A message that was received goes back as it is, but a dead-letter queue need not hold it whole.
  const limit = received && to.deadReason === undefined ? Number.POSITIVE_INFINITY : CLAIM_CHECK_BYTES;
  const content = bytes && bytes.length <= limit ? bytes : undefined;
  const isFirst = attempt === 1 && version === FIRST_VERSION;
  const isPlain = isFirst && content && !traceparent && !received && isEmpty(to);
  const headers: Record<string, unknown> = isPlain ? PLAIN_HEADERS : { [ATTEMPT_HEADER]: attempt };
  if (version !== FIRST_VERSION) headers[VERSION_HEADER] = version;
  if (!content) headers[CLAIM_CHECK_HEADER] = true;
  if (traceparent) Object.assign(headers, traceHeadersOf(traceparent));
  if (to.retryDelay) headers[RETRY_DELAY_HEADER] = formatDuration(toMilliseconds(to.retryDelay));
  if (to.deadReason !== undefined) headers[REASON_HEADER] = to.deadReason.slice(0, REASON_LENGTH);

  return {
    exchange: to.deadReason !== undefined ? EXCHANGE.dead : to.retryDelay ? EXCHANGE.retry : EXCHANGE.jobs,
    routingKey: to.deadReason !== undefined ? job.queue : routingKeyOf(job, contracts),
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

/**
 * What brings a message to its queue: the contract's name, unless it goes elsewhere than to the contract's own queue, or to
 * one that the contract was moved to: its name still leads to where workers of either code serve it.
 */
function routingKeyOf({ name, queue, priority, received }: JobMessage, contracts: Contracts): string {
  // A received message goes to its former queue or routing key, whatever the contract says now.
  if (received && queue === EXCHANGE.unroutable) return received.routingKey;
  // A queue whose priorities were removed has only the normal one.
  const level = contracts.prioritised.has(queue) ? priority : undefined;
  const contract = contracts.find(name);
  const isHome =
    contract?.queue === queue && contract.movedFrom.length === 0 && (level ?? 'normal') === 'normal';
  return isHome && !received ? name : directRoutingKey(queue, name, level);
}

const isEmpty = ({ retryDelay, deadReason }: Destination) => !retryDelay && deadReason === undefined;

/** What of the headers of a received message is published again. */
export const sentHeaders = (headers: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => !BROKER_HEADERS.test(name) && !OWN_HEADERS.has(name)),
  );

/** A received message as it came, to be published again with another routing key. */
export function sentOn({ content, properties }: Delivery['message'], routingKey: string): OutgoingMessage {
  const { headers = {}, messageId } = properties;
  const own = Object.fromEntries(Object.entries(headers).filter(([name]) => OWN_HEADERS.has(name)));
  return {
    exchange: EXCHANGE.jobs,
    routingKey,
    content,
    bareHeaders: own,
    properties: {
      ...sentProperties(properties),
      messageId: String(messageId ?? ''),
      headers: { ...sentHeaders(headers), ...own },
    },
  };
}

/** The broker closes the channel of a client that publishes under another user's name. Whatever is published again is persistent. */
export function sentProperties(properties: object): Record<string, unknown> {
  const unsent = new Set(['expiration', 'userId', 'deliveryMode', 'headers']);
  return Object.fromEntries(
    Object.entries(properties).filter(([name, value]) => !unsent.has(name) && value !== undefined),
  );
}
