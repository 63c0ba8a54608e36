/** What stands where a secret stood. */
export const REDACTED = '[redacted]';

/** Endings of secret keys, in any case and with any separator. `token` in the singular only: `maxTokens` is a count. */
const SECRET_KEY = new RegExp(
  `(?<=token|(${[
    'password|passwd|pwd|passphrase|passcode|secret|credential|cookie|signature|authorization|jwt|cvv|cvc',
    '(api|access|secret|private|signing|encryption)key|connectionstring|sessionid',
  ].join('|')})s?)$`,
);

/** What was found out of a key; keys of contracts are few, but those of payloads may be anything. */
const known = new Map<string, boolean>();
const MAX_KNOWN = 10_000;

/** Whether a key is called like those that secrets stand under. */
export function isSecretKey(key: string): boolean {
  let answer = known.get(key);
  if (answer === undefined) {
    answer = SECRET_KEY.test(key.replace(/[^a-z0-9]/gi, '').toLowerCase());
    if (known.size < MAX_KNOWN) known.set(key, answer);
  }
  return answer;
}

/** Whether a value may stay under such a key: it tells that there is a secret, or none, but not which. */
export const isNoSecret = (value: unknown): boolean =>
  value === null || value === undefined || typeof value === 'boolean';

/** What a job is about is never logged, no matter who logs it. */
const NEVER_LOGGED = new Set(['payload', 'payloads', 'result']);
/** Deeper than what anybody reads in a log. */
const MAX_DEPTH = 20;

/**
 * The fields of a log line without secrets: no payloads and results, nothing under a key that names a secret, and of
 * errors no more than type, message, stack, code, cause and the errors of an aggregate, because database drivers keep values of statements in
 * their further properties. Never throws.
 *
 * @param clean what is done with every text.
 */
export function redactFields<T extends object>(fields: T, clean: Clean): T {
  try {
    return walk(fields, clean, []) as T;
  } catch {
    return { unreadable: REDACTED } as unknown as T;
  }
}

type Clean = (text: string) => string;

/** @param above what the value lies in, from outside to inside. */
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

/** Most fields may stay as they are, so that most lines need no copy. */
function walkFields(value: object, clean: Clean, above: object[]): object {
  const fields = (value instanceof Error ? errorFields(value) : value) as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(fields)) {
    const inner = fields[key];
    const isHidden = (NEVER_LOGGED.has(key) || isSecretKey(key)) && !isNoSecret(inner);
    const shown = isHidden ? REDACTED : walk(inner, clean, above);
    if (shown === inner) continue;
    copy ??= { ...fields };
    // Assigned to, a key such as __proto__ would not be a key.
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
