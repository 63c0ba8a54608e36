import { createHash } from 'node:crypto';
import {
  type AnyContract,
  type Duration,
  firstNameOf,
  type GivenOptions,
  type NextJob,
  type OwnOptions,
  priorities,
  toMilliseconds,
} from '#define-job';
import { checkText, checkTime, InputError, type JobKey, type NewRecord, type Queryable } from '#records';
import { ENCRYPTED_FIELD } from './encryption.js';
import { type KeptOptions, keptOptions } from './own-options.js';

/** What a job is enqueued with, and how the call itself is to be made. */
export interface EnqueueOptions extends GivenOptions {
  /**
   * Insert into this transaction of the caller's own: the job exists if and only if the transaction commits. The
   * relay publishes it then, within some seconds.
   */
  transaction?: Queryable;
  /**
   * Anyone who enqueues again with the same key, within 24 hours, gets the same job and no second one, however many do
   * so at the same time. With another payload it is an error.
   */
  idempotencyKey?: string;
  /** Whose idempotency key it is: the same key of two clients is two keys. */
  client?: string;
}

/** How long an idempotency key is kept. Clients try again for minutes or hours; a day is what Stripe's API keeps. */
const IDEMPOTENCY_MS = 24 * 3_600_000;
/** A delay of more than this is a mistake. */
export const MAX_DELAY_DAYS = 3_650;
const MAX_DELAY_MS = MAX_DELAY_DAYS * 24 * 3_600_000;
const QUEUE_LENGTH = 100;
export const MAX_TAGS = 10;
export const TAG_LENGTH = 100;
/** Neither control characters nor what ends a line, and something to see at both ends. */
export const TAG = /^(?=\S)[^\p{Cc}\p{Cf}\u2028\u2029]+(?<=\S)$/u;
/** Longest key of any kind, in characters. */
export const KEY_LENGTH = 255;

/** What a job waits for and where, as its record has it. @throws InputError */
export function placeOf({
  delay,
  runAt,
  queue,
  priority,
  debounce,
  tags,
}: Pick<EnqueueOptions, 'delay' | 'runAt' | 'queue' | 'priority' | 'debounce' | 'tags'>): Pick<
  NewRecord,
  'delayMs' | 'runAt' | 'priority' | 'tags'
> {
  if (queue !== undefined) checkText('queue', queue, QUEUE_LENGTH);
  if (runAt !== undefined) checkTime('runAt', runAt);
  if (priority !== undefined && !priorities.includes(priority))
    throw new InputError('priority', `must be one of ${priorities.join(', ')}`);
  const given = { runAt, priority, ...(tags && { tags: readTags(tags) }) };
  if (debounce !== undefined) {
    if ((delay ?? runAt) !== undefined)
      throw new InputError('debounce', 'has a delay of its own: give neither delay nor runAt beside it');
    return { delayMs: readDelay('debounce.delay', debounce?.delay), ...given };
  }
  return { delayMs: delay === undefined ? undefined : readDelay('delay', delay), ...given };
}

/** Checks tags. @returns each of them once; undefined where there is none. @throws InputError */
export function readTags(tags: readonly string[]): readonly string[] | undefined {
  const once = Array.isArray(tags) ? [...new Set(tags)] : undefined;
  if (!once || once.length > MAX_TAGS) throw new InputError('tags', `must be at most ${MAX_TAGS} texts`);
  for (const [index, tag] of tags.entries()) {
    checkText(`tags.${index}`, tag, TAG_LENGTH);
    if (!TAG.test(tag))
      throw new InputError(`tags.${index}`, 'must have only characters that can be printed');
  }
  return once.length > 0 ? once : undefined;
}

/** The key that an enqueued job is to hold, if any. @throws InputError */
export function keyOf(contract: AnyContract, record: NewRecord, options: EnqueueOptions): JobKey | undefined {
  const { idempotencyKey, client, unique, debounce } = options;
  if (unique === undefined && debounce === undefined && idempotencyKey === undefined) return undefined;
  const given = Object.entries({ unique, debounce, idempotencyKey }).filter(([, key]) => key !== undefined);
  const [[first] = [], [second] = []] = given;
  if (first && second)
    throw new InputError(first, `and ${second} exclude each other: each says by itself which jobs are one`);
  if (idempotencyKey !== undefined) {
    const { delay, runAt = null, queue, next, priority } = options;
    const wanted = [firstNameOf(contract), queue, delay ?? runAt, next, priority, ...ownOf(options)];
    return idempotencyKeyOf({ idempotencyKey, client }, wanted, [record.payload]);
  }
  if (debounce !== undefined) {
    checkText('debounce.key', debounce.key, KEY_LENGTH);
    const delayMs = record.delayMs ?? 0;
    const maxMs = debounce.max === undefined ? undefined : readDelay('debounce.max', debounce.max);
    if (maxMs !== undefined && maxMs < delayMs)
      throw new InputError('debounce.max', 'must not be less than the delay');
    const scope = `debounce:${record.name}`;
    return { scope, key: debounce.key, heldMs: 0, untilEnded: false, debounce: { delayMs, maxMs } };
  }
  if (unique === undefined) return undefined;
  checkText('unique.key', unique?.key, KEY_LENGTH);
  const heldMs = unique.for === undefined ? 0 : readDelay('unique.for', unique.for);
  return { scope: `unique:${record.name}`, key: unique.key, heldMs, untilEnded: true };
}

/** What is asked for in place of what the contract says, for the fingerprint of an idempotency key. @throws InputError */
export const ownOf = ({ tags = [], ...options }: OwnOptions & Pick<EnqueueOptions, 'tags'>) =>
  [keptOptions(options) ?? [], tags].flat();

/**
 * What an idempotency key of a client is kept as.
 *
 * @param wanted what is asked for, for the fingerprint: nothing that contracts decide, and another version of the code may
 *   decide otherwise. @param payloads as JSON text; the order of keys in them does not count. @throws InputError
 */
export function idempotencyKeyOf(
  { idempotencyKey, client = '' }: { idempotencyKey: string; client?: string },
  wanted: readonly (NextJob | KeptOptions | Date | string | number | null | undefined)[],
  payloads: readonly string[],
): JobKey & { fingerprint: string } {
  checkText('idempotencyKey', idempotencyKey, KEY_LENGTH);
  if (client !== '') checkText('client', client, KEY_LENGTH);
  const hash = createHash('sha256');
  hash.update(canonical(wanted.map((part) => (isNext(part) ? askedOf(part) : part))));
  for (const payload of payloads) hash.update(canonical(JSON.parse(payload))).update('\0');
  return {
    ...{ scope: `idempotency:${client}`, key: idempotencyKey, fingerprint: hash.digest('base64') },
    ...{ heldMs: IDEMPOTENCY_MS, untilEnded: false },
  };
}

const isNext = (part: unknown): part is NextJob =>
  typeof part === 'object' && part !== null && 'contract' in part;
const askedOf = ({ contract, payload, options: { next, ...options } }: NextJob): object => ({
  ...{ name: firstNameOf(contract), payload, ...options },
  next: next && askedOf(next),
});

/** JSON text of a value, the same whatever the order of its keys. What is encrypted differs each time, and does not count. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (key, part) =>
    key === ENCRYPTED_FIELD
      ? null
      : typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
  );

/** Reads a delay of options. @returns milliseconds. @throws InputError */
export function readDelay(option: string, delay: Duration | number): number {
  let milliseconds: number;
  try {
    milliseconds = toMilliseconds(delay);
  } catch (error) {
    throw new InputError(option, `cannot be used: ${(error as Error).message}`);
  }
  if (milliseconds <= MAX_DELAY_MS) return milliseconds;
  throw new InputError(option, `must be at most ${MAX_DELAY_DAYS} days`);
}
