import { type Delivery, EXCHANGE, type OutgoingMessage } from '#rabbitmq';
import {
  ATTEMPT_HEADER,
  CLAIM_CHECK_BYTES,
  CLAIM_CHECK_HEADER,
  REASON_HEADER,
  REASON_LENGTH,
  sentHeaders,
  sentProperties,
} from './message.js';

export interface DeadLetter {
  /** The messageId in lower case, which is the id of a job of ours or anything else. */
  id: string;
  name: string;
  /** The attempt that it stands for; of a foreign message anything. */
  attempt: unknown;
  reason: string;
  /** The broker or a client put it there. */
  byBroker: boolean;
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
