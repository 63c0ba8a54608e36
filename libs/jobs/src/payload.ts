import type { z } from 'zod';
import { type AnyContract, adviceOn, pointerTo } from '#define-job';
import { ContractViolationError, ResultError, type Violation } from './errors.js';
import { JobSecrets } from './job-secrets.js';
import { MAX_DEPTH, toJson } from './json.js';
import { readThrown } from './thrown.js';

/**
 * Checks a value against the payload's or the result's schema.
 *
 * @param pointer where the value stands, for errors.
 * @returns the value with the schema's defaults and transformations.
 * @throws ContractViolationError with a JSON Pointer for each thing that does not fit.
 */
export function parseOrThrow(
  contract: AnyContract,
  part: 'payload' | 'result',
  value: unknown,
  pointer = `/${part}`,
): unknown {
  const checked = check(contract[part] as z.ZodType, value, pointer);
  if (!Array.isArray(checked)) return checked.data;
  // A refinement's message may quote what it refuses.
  const secrets = new JobSecrets(() => [[value, contract[part]]]);
  throw new ContractViolationError(
    contract.name,
    part,
    checked.map(({ pointer, detail }) => ({ pointer, detail: secrets.scrub(detail) })),
  );
}

/** @returns what the schema made of the value, or what does not fit. A schema of one's own may throw, or be async. */
function check(schema: z.ZodType, value: unknown, pointer: string): { data: unknown } | Violation[] {
  try {
    const checked = schema.safeParse(value);
    return checked.success ? checked : toViolations(checked.error.issues, pointer);
  } catch (error) {
    const { name, message } = readThrown(error);
    const detail =
      name === '$ZodAsyncError'
        ? 'its schema is asynchronous: check and transform it without promises'
        : `its schema threw ${message || name}: report what does not fit with a refinement`;
    return [{ pointer, detail }];
  }
}

/** What a schema found, as JSON Pointers below `root`. At most 20: a wrong list of thousands needs no more. */
export function toViolations(issues: readonly Issue[], root = ''): Violation[] {
  return issues.slice(0, 20).map(({ path = [], message, expected }) => ({
    pointer: root + path.map((part) => pointerTo(typeof part === 'object' ? part.key : part)).join(''),
    detail: message + (expected ? adviceOn(expected) : ''),
  }));
}

/** What a Standard Schema found; zod says beside it what type it expected. */
interface Issue {
  message: string;
  path?: readonly (PropertyKey | { key: PropertyKey })[] | undefined;
  expected?: string;
}

/**
 * Writes a payload or a result as the JSON that is stored. It is this that is checked, since it is what a worker, or
 * anyone who asks for the result, gets.
 *
 * @param pointer where the value stands, for errors.
 * @throws PayloadError when JSON cannot hold it, ContractViolationError when what JSON makes of it does not fit.
 */
export function fittingJson(
  contract: AnyContract,
  part: 'payload' | 'result',
  value: unknown,
  maxBytes: number,
  pointer = `/${part}`,
): string {
  const text = toJson(value, maxBytes, pointer);
  parseOrThrow(contract, part, JSON.parse(text), pointer);
  return text;
}

/** The same for what a handler returned. @throws NonRetryableError: the work is done, and would be done again in vain. */
export function resultJson(contract: AnyContract, result: unknown, maxBytes: number): string {
  try {
    return fittingJson(contract, 'result', result, maxBytes);
  } catch (error) {
    throw error instanceof ContractViolationError ? error : new ResultError(error);
  }
}

/** Whether a JSON text nests deeper than is safe to hand on. Brackets inside of strings do not count. */
export function isTooDeep(json: string, maxDepth = MAX_DEPTH): boolean {
  if (json.length <= maxDepth) return false;
  let depth = 0;
  let inString = false;
  for (let index = 0; index < json.length; index++) {
    const code = json.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > maxDepth) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}
