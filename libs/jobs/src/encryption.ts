import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Settings } from '#config';
import { type AnyContract, ContractError, NonRetryableError } from '#define-job';
import type { Previous } from '#records';
import type { Contracts } from './contracts.js';
import type { IncomingJob } from './decode.js';
import { hasEncrypted, replaceEncrypted } from './redact.js';

/** Stands in JSON for what is encrypted: `{"$encrypted": "KEY_ID.BASE64URL"}`, of IV, tag and ciphertext. */
export const ENCRYPTED_FIELD = '$encrypted';
const ALGORITHM = 'aes-256-gcm';
/** NIST SP 800-38D: with random IVs of 96 bits one key does for 2^32 encryptions. */
const IV_BYTES = 12;
const TAG_BYTES = 16;

type Part = 'payload' | 'result';

/** Encrypts and decrypts what contracts mark with `encrypted()`. Of other contracts nothing is looked at. */
export class Encryption {
  private readonly keys: Settings['ENCRYPTION_KEYS'];

  constructor({ ENCRYPTION_KEYS }: Pick<Settings, 'ENCRYPTION_KEYS'>) {
    this.keys = ENCRYPTION_KEYS;
  }

  get hasKeys(): boolean {
    return this.keys.length > 0;
  }

  /**
   * Encrypts the marked parts of a payload or a result, as JSON text; those that are encrypted stay as they are.
   *
   * @throws ContractError without a key.
   */
  seal(contract: AnyContract, part: Part, json: string): string {
    return hasEncrypted(contract[part])
      ? JSON.stringify(this.sealed(contract, part, JSON.parse(json)))
      : json;
  }

  /** The same for a message, which another program may have published. */
  sealJob(contract: AnyContract | undefined, job: IncomingJob): IncomingJob {
    if (!contract || job.payload === null || !hasEncrypted(contract.payload)) return job;
    const value = this.sealed(contract, 'payload', job.value);
    return value === job.value ? job : { ...job, value, payload: JSON.stringify(value) };
  }

  /** Decrypts what {@link seal} made. @throws NonRetryableError when its key is not there, or somebody changed it. */
  open<Value>(contract: AnyContract | undefined, part: Part, value: Value): Value {
    if (!contract || !hasEncrypted(contract[part])) return value;
    return walk(value, (token) => JSON.parse(this.decrypt(token))) as Value;
  }

  /** The same for the result that a job is handed on. */
  openPrevious(previous: Previous, contracts: Contracts): Previous {
    const result = this.open(contracts.find(previous.name), 'result', previous.result);
    return result === previous.result ? previous : { ...previous, result };
  }

  /**
   * Encrypts with the first key what in a JSON text is encrypted with another one.
   *
   * @param onLost told of a part that cannot be decrypted, and stays as it is.
   */
  renew(json: string, onLost: (error: Error) => void): string {
    return json.replace(TOKENS, (whole, start: string, token: string, end: string) => {
      if (token.startsWith(`${this.keys[0]?.id}.`)) return whole;
      try {
        return `${start}${this.encryptText(this.decrypt(token))}${end}`;
      } catch (error) {
        onLost(error as Error);
        return whole;
      }
    });
  }

  private sealed(contract: AnyContract, part: Part, value: unknown): unknown {
    return replaceEncrypted(value, contract[part], (plain) =>
      tokenOf(plain) === undefined ? { [ENCRYPTED_FIELD]: this.encrypt(contract, plain) } : plain,
    );
  }

  private encrypt({ name }: AnyContract, plain: unknown): string {
    if (this.hasKeys) return this.encryptText(JSON.stringify(plain));
    throw new ContractError(
      `${name} has encrypted() parts: set ENCRYPTION_KEYS, such as "2026:$(openssl rand -base64 32)"`,
    );
  }

  private encryptText(text: string): string {
    const [key] = this.keys as [Settings['ENCRYPTION_KEYS'][number]];
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(ALGORITHM, key.key, iv);
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return `${key.id}.${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url')}`;
  }

  private decrypt(token: string): string {
    const [id = '', text = ''] = token.split('.');
    const key = this.keys.find((one) => one.id === id);
    if (!key)
      throw new NonRetryableError(`Encrypted with the key "${id}", which is not in ENCRYPTION_KEYS: add it`);
    const bytes = Buffer.from(text, 'base64url');
    try {
      const decipher = createDecipheriv(ALGORITHM, key.key, bytes.subarray(0, IV_BYTES));
      decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      const sealed = bytes.subarray(IV_BYTES + TAG_BYTES);
      return decipher.update(sealed, undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new NonRetryableError(
        `Cannot be decrypted with the key "${id}": it is another one, or the data was changed`,
      );
    }
  }
}

/** In a record's column JSON may stand as text in JSON, with its quotes escaped. */
const TOKENS = /(\\*"\$encrypted\\*"\s*:\s*\\*")([\w-]+\.[\w-]+)(\\*")/g;

/** What is encrypted in a value; undefined when it is no such thing. */
function tokenOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const token = (value as Record<string, unknown>)[ENCRYPTED_FIELD];
  return typeof token === 'string' && Object.keys(value).length === 1 ? token : undefined;
}

function walk(value: unknown, open: (token: string) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const token = tokenOf(value);
  if (token !== undefined) return open(token);
  if (Array.isArray(value)) return value.map((inner) => walk(inner, open));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner, open)]));
}
