import { types } from 'node:util';
import { z } from 'zod';
import { NonRetryableError, RetryAfterError, toMilliseconds } from '#define-job';
import { redact } from './redact.js';

/** Whatever a handler threw, as data: the value itself may be a proxy, or have getters that throw. */
export interface Thrown {
  /** What the executor decides by. */
  kind: 'error' | 'non-retryable' | 'retry-after';
  /** The class that records and logs show. */
  name: string;
  message: string;
  stack?: string;
  code?: string | number;
  /** Milliseconds, of a `RetryAfterError`. */
  delay?: number;
  cause?: Thrown;
  /** Of an aggregate. */
  errors?: Thrown[];
}

/** Checks what another thread sent. */
export const thrownSchema: z.ZodType<Thrown> = z.object({
  kind: z.enum(['error', 'non-retryable', 'retry-after']),
  name: z.string(),
  message: z.string(),
  stack: z.string().optional(),
  code: z.union([z.string(), z.number()]).optional(),
  delay: z.number().min(0).optional(),
  cause: z.lazy(() => thrownSchema).optional(),
  errors: z.array(z.lazy(() => thrownSchema)).optional(),
});

/** Errors that are kept of one failure, with causes and the parts of aggregates; causes may go in a circle. */
const MAX_ERRORS = 20;
/** More than a record shows: secrets are looked for before a text is cut to what is shown. */
const MAX_LENGTH = 1024 * 1024;
const UNREADABLE = 'What was thrown cannot be read';

/** Reads whatever was thrown. Never throws. */
export function readThrown(thrown: unknown, seen: unknown[] = []): Thrown {
  seen.push(thrown);
  const get = (key: string) => safely(() => (thrown as Record<string, unknown>)[key]);
  const inner = (error: unknown) =>
    seen.length > MAX_ERRORS || seen.includes(error) ? [] : [readThrown(error, seen)];
  const unread = thrown === undefined ? 'undefined' : UNREADABLE;
  const [cause, errors, given] = [get('cause'), get('errors'), get('code')];
  const code = typeof given === 'string' ? cut(given) : typeof given === 'number' ? given : undefined;
  if (!isError(thrown))
    return { kind: 'error', name: typeof thrown, message: textOf(thrown) ?? unread, code };

  // Libraries have classes of their own for many errors; what they call so may be something else.
  const isPart = is(thrown, AggregateError) ? () => true : isError;
  const all = safely(() => (errors as unknown[]).filter(isPart).flatMap(inner)) ?? [];
  return {
    name: nameOf(get('name'), get('constructor')),
    message: textOf(get('message')) ?? UNREADABLE,
    stack: textOf(get('stack') || undefined),
    code,
    cause: cause === undefined ? undefined : inner(cause)[0],
    errors: all.length > 0 ? all : undefined,
    ...kindOf(thrown),
  };
}

/** Makes an error of it again, which nothing can go wrong with. */
export function toError({ kind, name, message, stack, code, delay = 0, cause, errors }: Thrown): Error {
  const options = cause && { cause: toError(cause) };
  let error: Error;
  if (kind === 'non-retryable') error = new NonRetryableError(message, options);
  else if (kind === 'retry-after') error = new RetryAfterError(delay, message, options);
  else if (errors) error = new AggregateError(errors.map(toError), message, options);
  else error = new Error(message, options);
  const own = { name, stack, ...(code !== undefined && { code }) };
  for (const [key, value] of Object.entries(own))
    Object.defineProperty(error, key, { value, writable: true, configurable: true });
  return error;
}

/** The text of whatever a handler handed over; undefined when it has none. Never throws. */
export function textOf(value: unknown): string | undefined {
  const text = safely(() => {
    if (typeof value === 'string' || value === undefined) return value;
    const { message } = Object(value) as { message?: unknown };
    return typeof message === 'string'
      ? message
      : (safely(() => JSON.stringify(redact(value))) ?? String(value));
  });
  return text === undefined ? undefined : cut(text);
}

function kindOf(thrown: unknown): Pick<Thrown, 'kind' | 'delay'> & { message?: string } {
  if (is(thrown, NonRetryableError)) return { kind: 'non-retryable' };
  if (!is(thrown, RetryAfterError)) return { kind: 'error' };
  try {
    return { kind: 'retry-after', delay: toMilliseconds((thrown as RetryAfterError).delay) };
  } catch (error) {
    return { kind: 'error', message: `The delay of a RetryAfterError cannot be used: ${textOf(error)}` };
  }
}

function nameOf(name: unknown, type: unknown): string {
  if (typeof name === 'string' && name !== '' && name !== 'Error') return cut(name);
  const own = safely(() => (type as { name: unknown }).name);
  return typeof own === 'string' && own !== '' ? cut(own) : 'Error';
}

const isError = (value: unknown) => types.isNativeError(value) || is(value, Error);
const is = (value: unknown, type: new (...args: never[]) => unknown) =>
  safely(() => value instanceof type) ?? false;
const cut = (text: string) => text.slice(0, MAX_LENGTH);

/** What a task gives, if it does not throw. */
export function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
