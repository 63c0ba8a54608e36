import type { AnyContract } from '#define-job';
import type { StoredJob } from '#records';
import { REDACTED } from '#telemetry';
import type { Encryption } from './encryption.js';
import { fittingJson, parseOrThrow } from './payload.js';
import { safely } from './thrown.js';
import { upgraded } from './upgrade.js';

/** What a payload becomes before its job runs again: another one, or what a JSON Merge Patch (RFC 7396) makes of it. */
export interface PayloadEdit {
  /** What is `[redacted]` in it stays as it is. */
  payload?: unknown;
  patch?: unknown;
}

export const isEdit = ({ payload, patch }: PayloadEdit): boolean =>
  payload !== undefined || patch !== undefined;

/**
 * The payload of a job that is to run again, as JSON text that fits its contract, and the version that it is of.
 *
 * @throws ContractViolationError, PayloadError
 */
export function editedPayload(
  contract: AnyContract,
  { payload: text, version }: Pick<StoredJob, 'payload' | 'version'>,
  { payload, patch }: PayloadEdit,
  encryption: Encryption,
  maxBytes: number,
): { payload: string; version: number } {
  const stored = encryption.open(contract, 'payload', JSON.parse(text));
  if (!isEdit({ payload, patch })) {
    // Of another version it is the worker that makes it fit.
    if (version === contract.version) parseOrThrow(contract, 'payload', stored);
    return { payload: text, version };
  }
  const current = safely(() => upgraded(contract, 'payload', stored, version)) ?? stored;
  const edited = payload === undefined ? merged(current, patch) : restored(payload, current);
  const plain = fittingJson(contract, 'payload', edited, maxBytes);
  return { payload: encryption.seal(contract, 'payload', plain), version: contract.version };
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7396. */
function merged(value: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const base = isObject(value) ? value : {};
  const changed = Object.entries(patch).map(([key, part]) => [key, merged(base[key], part)]);
  return Object.fromEntries(
    [...Object.entries(base), ...changed].filter(([key]) => patch[key as string] !== null),
  );
}

/** Puts back what is `[redacted]` in a payload, since it was not shown to the one who edited it. */
export function restored(edited: unknown, original: unknown): unknown {
  if (edited === REDACTED && original !== undefined) return original;
  if (typeof edited !== 'object' || edited === null || typeof original !== 'object' || original === null)
    return edited;
  const inner = (key: string, value: unknown) =>
    restored(value, Object.hasOwn(original, key) ? (original as Fields)[key] : undefined);
  if (Array.isArray(edited)) return edited.map((value, index) => inner(`${index}`, value));
  return Object.fromEntries(Object.entries(edited).map(([key, value]) => [key, inner(key, value)]));
}
