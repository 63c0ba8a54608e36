import { createHash } from 'node:crypto';
import { validate as isUuid } from 'uuid';
import { maskUrl } from '#config';
import { type AnyContract, FIRST_VERSION, isVersion, NonRetryableError } from '#define-job';
import type { Delivery } from '#rabbitmq';
import type { MessageView, StoredMessage, UnprocessableMessage } from '#records';
import { isSecretKey, REDACTED } from '#telemetry';
import { usableName } from './dead-letter-message.js';
import { readBody } from './decode.js';
import { newJobId } from './job-id.js';
import { describeError } from './lifecycle/outcome.js';
import { VERSION_HEADER } from './message.js';
import { hasMarks, redact } from './redact.js';
import { shownPayload } from './shown-payload.js';

/** Unprocessable messages: how they become dead letters, and how they are shown. */

/** The error of a message that is dead-lettered before any handler runs. */
export class UnprocessableMessageError extends NonRetryableError {
  override readonly name: string = 'UnprocessableMessageError';
}

/**
 * Describes a message as the dead letter that it becomes.
 *
 * @param reason why no job can be made of it.
 * @param maxPayload bytes of the longest body that may be a payload.
 */
export function describeMessage(
  { queue, message }: Pick<Delivery, 'queue' | 'message'>,
  reason: string,
  maxPayload: number,
): UnprocessableMessage {
  const { content, fields } = message;
  const { headers = {}, ...properties } = message.properties;
  const { messageId, type } = properties;
  const version = headers[VERSION_HEADER];
  const body = content.length > maxPayload ? undefined : readBody(content);
  const payload = body && 'payload' in body ? body.payload : null;
  const { stack: _, ...error } = describeError(new UnprocessableMessageError(reason));
  const otherId = newJobId();
  return {
    id: isUuid(messageId) ? String(messageId).toLowerCase() : otherId,
    otherId,
    isRedelivered: fields.redelivered,
    name: usableName(type),
    queue,
    routingKey: fields.routingKey,
    payload,
    version: isVersion(version) ? version : undefined,
    error: JSON.stringify({ ...error, stack: null }),
    digest: createHash('sha256').update(`${type}\n`).update(content).digest('base64'),
    properties,
    headers,
    body: content,
  };
}

/** The same without payload, properties and headers, for a message in which these cannot be stored. */
export const bareMessage = (message: UnprocessableMessage): UnprocessableMessage => ({
  ...message,
  payload: null,
  properties: {},
  headers: {},
});

/** How much is shown of a body, and of the headers, which may take 64 KiB. */
const SHOWN_BYTES = 4_096;
const SHOWN_HEADERS = 50;
const SHOWN_CHARACTERS = 200;

/**
 * A message as it is shown: without secrets, and cut.
 *
 * @param contract the one that it names, if any.
 */
export function showMessage(
  { properties, headers, size, body }: StoredMessage,
  contract: AnyContract | undefined,
): MessageView {
  return {
    properties: shown(properties),
    headers: shown(headers),
    size,
    ...showBody(withoutSecrets(body, headers[VERSION_HEADER] ?? FIRST_VERSION, contract)),
  };
}

/** Redacts JSON by keys and by the contract; other text where it looks like a key with a value. */
function withoutSecrets(body: Buffer, version: unknown, contract: AnyContract | undefined): Buffer {
  const json = readBody(body);
  if ('value' in json) {
    const { payload: bare } = shownPayload({ payload: json.value, version: Number(version) }, contract);
    return bare === json.value ? body : Buffer.from(JSON.stringify(bare));
  }
  if (contract && hasMarks(contract.payload)) return Buffer.from(REDACTED);
  const beginning = body.subarray(0, 2 * SHOWN_BYTES).toString('latin1');
  return Buffer.from(scrub(beginning), 'latin1');
}

/** A key with a value in broken JSON, a form or a header: `"token": "x"`, `token=x`, `Token: x`. */
const FIELD = /([\w-]{1,64})(["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^,;&}\r\n]+)/g;

/** A text without values that look like secrets. */
export const scrub = (text: string): string =>
  maskUrl(text).replace(FIELD, (field, key: string, between: string) =>
    isSecretKey(key) ? `${key}${between}${REDACTED}` : field,
  );

/** The beginning of a body, as text if it is text. */
function showBody(bytes: Buffer): Pick<MessageView, 'body' | 'encoding'> {
  const beginning = bytes.subarray(0, SHOWN_BYTES);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(beginning, { stream: true });
    return { body: text, encoding: 'utf8' };
  } catch {
    return { body: beginning.toString('hex'), encoding: 'hex' };
  }
}

/** Properties or headers as they are shown: at most 50, each cut. */
function shown(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(redact(values) as Record<string, unknown>)
      .slice(0, SHOWN_HEADERS)
      .map(([name, value]) => {
        if (typeof value === 'number' || typeof value === 'boolean' || value === null) return [name, value];
        const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
        return [name, scrub(text).slice(0, SHOWN_CHARACTERS)];
      }),
  );
}
