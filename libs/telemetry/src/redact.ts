/** Replaces a secret. */
export const REDACTED = '[redacted]';

/** Endings of secret keys, in any case and with any separator. `token` in the singular only: `maxTokens` is a count. */
const SECRET_KEY = new RegExp(
  `(?<=token|(${[
    'password|passwd|pwd|passphrase|passcode|secret|credential|cookie|signature|authorization|jwt|cvv|cvc',
    '(api|access|secret|private|signing|encryption)key|connectionstring|sessionid',
  ].join('|')})s?)$`,
);

/** Cached answers, bounded because payloads may have any keys. */
const known = new Map<string, boolean>();
const MAX_KNOWN = 10_000;

/** Whether a key names a secret, such as `dbPassword` or `x-api-key`. */
export function isSecretKey(key: string): boolean {
  let answer = known.get(key);
  if (answer === undefined) {
    answer = SECRET_KEY.test(key.replace(/[^a-z0-9]/gi, '').toLowerCase());
    if (known.size < MAX_KNOWN) known.set(key, answer);
  }
  return answer;
}

/** Whether a value under such a key may be shown: null and booleans reveal no secret. */
export const isNoSecret = (value: unknown): boolean =>
  value === null || value === undefined || typeof value === 'boolean';

/** Payloads and results are never logged. */
const NEVER_LOGGED = new Set(['payload', 'payloads', 'result']);
/** Deeper than what anybody reads in a log. */
const MAX_DEPTH = 20;

/**
 * Redacts the fields of a log line: payloads, results and secret keys. Of errors it keeps type, message, stack, code, cause
 * and the errors of an aggregate, because drivers put values of statements into other properties. Never throws.
 *
 * @param clean applied to every text.
 */
export function redactFields<T extends object>(fields: T, clean: Clean): T {
  try {
    return walk(fields, clean, []) as T;
  } catch {
    return { unreadable: REDACTED } as unknown as T;
  }
}

type Clean = (text: string) => string;

/** @param above the objects that contain the value, outermost first. */
function walk(value: unknown, clean: Clean, above: object[]): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return walk(value.toJSON(), clean, above);
  if (above.length >= MAX_DEPTH || above.includes(value)) return '[…]';
  above.push(value);
  const copy = Array.isArray(value)
    ? value.map((inner) => walk(inner, clean, above))
    : walkFields(value, clean, above);
  above.pop();
  return copy;
}

/** Copies the fields only if one changes, which it does in few lines. */
function walkFields(value: object, clean: Clean, above: object[]): object {
  const fields = (value instanceof Error ? errorFields(value) : value) as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(fields)) {
    const inner = fields[key];
    const isHidden = (NEVER_LOGGED.has(key) || isSecretKey(key)) && !isNoSecret(inner);
    const shown = isHidden ? REDACTED : walk(inner, clean, above);
    if (shown === inner) continue;
    copy ??= { ...fields };
    // An assignment to `__proto__` would set the prototype.
    Object.defineProperty(copy, key, {
      value: shown,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return copy ?? fields;
}

/** Errors of an aggregate that a line shows. */
const MAX_ERRORS = 20;

function errorFields(error: Error & { code?: unknown; errors?: unknown }): object {
  const { name, message, stack, code, cause, errors } = error;
  const parts = Array.isArray(errors) ? errors.filter((part) => part instanceof Error) : [];
  return {
    type: name === 'Error' ? error.constructor.name : name,
    ...{ message, stack, code, cause },
    ...(parts.length > 0 && { errors: parts.slice(0, MAX_ERRORS) }),
  };
}
