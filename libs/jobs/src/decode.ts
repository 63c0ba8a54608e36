import { parse } from 'secure-json-parse';
import { validate as isUuid } from 'uuid';
import { FIRST_VERSION, isVersion, MAX_VERSION, type Priority } from '#define-job';
import type { Delivery } from '#rabbitmq';
import { isStorable } from '#records';
import { readTraceHeaders } from '#telemetry';
import { ATTEMPT_HEADER, CLAIM_CHECK_HEADER, type JobMessage, VERSION_HEADER } from './message.js';
import { isTooDeep } from './payload.js';

/** Reads messages. Any AMQP client can publish one, so everything in them is checked. */

const MAX_ATTEMPT = 1_000_000;
const utf8 = new TextDecoder('utf-8', { fatal: true });

export interface IncomingJob extends JobMessage {
  version: number;
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
  const { messageId, type, headers = {} } = properties;
  const attempt = headers[ATTEMPT_HEADER] ?? 1;
  const version = headers[VERSION_HEADER] ?? FIRST_VERSION;
  const problem = problemWith(properties, attempt, version);
  if (problem) return { unreadable: problem };
  const traceparent = readTraceHeaders(headers);
  const arrival = (payload: string | null, value?: unknown, lacks?: string): IncomingJob => ({
    id: messageId.toLowerCase(),
    name: type,
    queue,
    priority,
    attempt,
    version,
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

function problemWith(
  { messageId, type, contentType, contentEncoding }: Delivery['message']['properties'],
  attempt: unknown,
  version: unknown,
): string | undefined {
  if (typeof messageId !== 'string' || !isUuid(messageId)) return 'messageId is missing or not a UUID';
  if (typeof type !== 'string' || type === '') return 'type is missing: it must name the contract';
  if (!isStorable(type)) return 'type contains NUL';
  if (!Number.isInteger(attempt) || Number(attempt) < 1 || Number(attempt) > MAX_ATTEMPT)
    return `${ATTEMPT_HEADER} is not a valid attempt: expected an integer from 1 to ${MAX_ATTEMPT}`;
  if (!isVersion(version))
    return `${VERSION_HEADER} is not a valid version: expected an integer from 1 to ${MAX_VERSION}`;
  if (contentType !== undefined && !/^application\/json\s*(;|$)/i.test(contentType))
    return `contentType is ${JSON.stringify(contentType)}: expected application/json`;
  if (contentEncoding !== undefined && !/^(utf-?8|identity)?$/i.test(contentEncoding))
    return `contentEncoding is ${JSON.stringify(contentEncoding)}: expected none`;
  return undefined;
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
