import type { z } from 'zod';
import type { AnyContract } from './contract.js';
import { ContractViolationError, PayloadError, type Violation } from './errors.js';
import { Secrets } from './secrets.js';

/** Deeper nesting than any real payload; PostgreSQL and JSON.stringify give up at some thousands. */
const MAX_DEPTH = 200;

/**
 * Checks a value against the payload's or the result's schema.
 *
 * @param pointer where the value stands, for errors.
 * @returns the value with the schema's defaults and transformations.
 * @throws ContractViolationError with a JSON Pointer for each thing that does not fit.
 */
export function conform(
  contract: AnyContract,
  part: 'payload' | 'result',
  value: unknown,
  pointer = `/${part}`,
): unknown {
  const checked = (contract[part] as z.ZodType).safeParse(value);
  if (checked.success) return checked.data;
  // A refinement's message may quote what it refuses.
  const secrets = new Secrets(() => [[value, contract[part]]]);
  const violations = toViolations(checked.error, pointer);
  throw new ContractViolationError(
    contract.name,
    part,
    violations.map(({ pointer, detail }) => ({ pointer, detail: secrets.scrub(detail) })),
  );
}

/** What a schema found, as JSON Pointers below `root`. At most 20: a wrong list of thousands needs no more. */
export function toViolations(error: z.ZodError, root = ''): Violation[] {
  return error.issues.slice(0, 20).map(({ path, message }) => ({
    pointer: root + path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    detail: message,
  }));
}

/**
 * Writes a value as the JSON that is stored and sent.
 *
 * @param maxBytes longest text allowed.
 * @param what names the value in errors.
 * @throws PayloadError when it is too long, nested too deeply, or no JSON.
 */
export function toJson(value: unknown, maxBytes: number, what = 'The value'): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value) ?? 'null';
  } catch (error) {
    // A circle, a bigint, or a depth that overflows the stack.
    throw new PayloadError(`${what} cannot be written as JSON: ${(error as Error).message.split('\n')[0]}`);
  }
  // A character takes up to three bytes in UTF-8, so short texts need not be measured.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw new PayloadError(`${what} is longer than ${maxBytes} bytes of JSON (MAX_PAYLOAD)`, true);
  }
  if (isTooDeep(text)) throw new PayloadError(`${what} is nested more than ${MAX_DEPTH} levels deep`);
  return text;
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
