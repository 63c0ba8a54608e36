import { inspect } from 'node:util';
import type { Duration } from '#config';
import { NonRetryableError, RetryAfterError } from '#jobs';

/** What was thrown, as data: a structured clone of an error would keep neither its class nor its name. */
export type PlainError = ErrorData | { kind: 'no error'; thrown: Plain };

interface ErrorData {
  /** What the executor decides by. */
  kind: 'error' | 'non-retryable' | 'retry-after';
  /** The name that records and logs show. */
  name: string;
  message: string;
  stack: string | undefined;
  /** Properties of its own, such as `code` or `delay`. */
  fields: Record<string, Plain>;
  cause: PlainError | undefined;
}

type Plain = string | number | boolean;

/** Deep enough to understand a failure; and a chain of causes may be a circle. */
const MAX_CAUSES = 5;

/** Takes apart whatever was thrown. */
export function toPlainError(thrown: unknown, causes = MAX_CAUSES): PlainError {
  if (!(thrown instanceof Error)) {
    return { kind: 'no error', thrown: isPlain(thrown) ? thrown : inspect(thrown) };
  }
  const { name, message, stack, cause } = thrown;
  return {
    kind: kindOf(thrown),
    name: name !== 'Error' ? name : thrown.constructor.name,
    message,
    stack,
    fields: Object.fromEntries(Object.entries(thrown).filter(([, value]) => isPlain(value))),
    cause: cause !== undefined && causes > 0 ? toPlainError(cause, causes - 1) : undefined,
  };
}

/** Puts it together again, so that it is handled, stored and logged like what was thrown. */
export function fromPlainError(plain: PlainError): unknown {
  if (plain.kind === 'no error') return plain.thrown;
  const { name, stack, fields } = plain;
  const error = revive(plain);
  for (const [key, value] of Object.entries({ ...fields, name, stack })) {
    Object.defineProperty(error, key, {
      value,
      writable: true,
      configurable: true,
      enumerable: key in fields,
    });
  }
  return error;
}

function kindOf(error: Error): ErrorData['kind'] {
  if (error instanceof NonRetryableError) return 'non-retryable';
  return error instanceof RetryAfterError ? 'retry-after' : 'error';
}

function revive({ kind, message, fields, cause }: ErrorData): Error {
  const options = cause && { cause: fromPlainError(cause) };
  switch (kind) {
    case 'non-retryable':
      return new NonRetryableError(message, options);
    case 'retry-after':
      return new RetryAfterError(fields.delay as Duration | number, message, options);
    case 'error':
      return new Error(message, options);
  }
}

function isPlain(value: unknown): value is Plain {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
