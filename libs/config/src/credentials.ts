import { z } from 'zod';
import { readBy } from './values.js';

/** Secrets with a name, as settings have them: what somebody may do, who it is, and the secret last. */

/** What an API key may do: `operate` includes `read`. */
export const scopes = ['enqueue', 'read', 'operate'] as const;
export type Scope = (typeof scopes)[number];

export interface ApiKey {
  key: string;
  /** Absent on a key that may do everything. */
  limits?: {
    name: string;
    scopes: Scope[];
    /** Patterns of the contracts that it is for; absent when it is for all. */
    contracts?: string[];
  };
}

const isScope = (word: string): word is Scope => scopes.some((scope) => scope === word);

/** A key alone may do everything. With a scope at its beginning it is `SCOPES:NAME:KEY` or `SCOPES:NAME:CONTRACTS:KEY`. */
export const apiKey = z.string().transform(readBy(readApiKey));

function readApiKey(text: string): ApiKey {
  const parts = text.split(':');
  const key = parts.at(-1) as string;
  const words = parts.slice(0, -1)[0]?.split('+') ?? [];
  if (!words.some(isScope)) {
    if (text.length < 16) throw new Error('each key must have at least 16 characters');
    return { key: text };
  }
  const wrong = words.find((word) => !isScope(word));
  if (wrong !== undefined) throw new Error(`"${wrong}" is none of the scopes ${scopes.join(', ')}`);
  const [, name = '', patterns] = parts.slice(0, -1);
  if (parts.length > 4 || !/^[\w.@-]{1,64}$/.test(name) || !/^\S{16,}$/.test(key))
    throw new Error(
      'a key with scopes must be SCOPES:NAME:KEY or SCOPES:NAME:CONTRACTS:KEY, with at least 16 characters as the key',
    );
  const contracts = patterns?.split('+');
  if (contracts?.some((pattern) => !/^[a-z0-9_.*-]{1,100}$/.test(pattern)))
    throw new Error(`the contracts of ${name} must be names or patterns such as email.*, joined by +`);
  return { key, limits: { name, scopes: words.filter(isScope), contracts } };
}

/** Whether two keys could be taken for each other; a key that may do everything may stand there twice. */
export const isNamedTwice = (keys: readonly ApiKey[]): boolean =>
  keys.some(
    ({ key, limits }, index) =>
      limits &&
      keys.some(
        (other, place) => place !== index && (other.key === key || other.limits?.name === limits.name),
      ),
  );

/** A user of the dashboard. Of a hash only its form is checked here. */
export const dashboardUser = z.string().transform(
  readBy((text) => {
    const [, role, name, hash] =
      /^(operator|viewer):([\w.@-]{1,64}):(scrypt\.\d\d\.[\w-]{22}\.[\w-]{43})$/.exec(text) ?? [];
    if (role && name && hash) return { role: role as 'operator' | 'viewer', name, hash };
    throw new Error(
      'each must be operator:NAME:HASH or viewer:NAME:HASH, with a hash of `npm run hash-password`',
    );
  }),
);

export const encryptionKey = z.string().transform(
  readBy((text) => {
    const [, id, key = ''] = /^([\w-]{1,32}):([A-Za-z0-9+/_-]{43}=?)$/.exec(text) ?? [];
    if (id) return { id, key: Buffer.from(key, 'base64') };
    throw new Error('each must be ID:KEY, with 32 random bytes in base64 as the key');
  }),
);
