import { pointerTo } from '#define-job';
import { PayloadError } from './errors.js';
import { describeError } from './lifecycle/outcome.js';

/** Deeper nesting than any real payload; PostgreSQL and JSON.stringify give up at some thousands. */
export const MAX_DEPTH = 200;

/** What to write instead of what JSON cannot hold, by its type. */
const INSTEAD: Record<string, string> = {
  undefined: 'null',
  number: 'null or a string',
  bigint: 'String(value)',
  function: 'what it returns, or leave it out',
  symbol: 'a string',
  Date: 'null',
  Map: 'Object.fromEntries(map)',
  Set: '[...set]',
  RegExp: 'its source',
  Error: 'its message',
  Promise: 'what it resolves to: await it',
  ArrayBuffer: 'Buffer.from(bytes).toString("base64")',
  Uint8Array: 'Buffer.from(bytes).toString("base64")',
  circle: 'the id of what it refers to',
};

/**
 * Writes a value as the JSON that is stored and sent. A value that JSON would change silently, such as a Map or NaN, is an
 * error. `toJSON` is called, properties that are undefined are left out, and undefined itself is null.
 *
 * @param maxBytes longest text allowed.
 * @param pointer where the value stands: what JSON Pointers into it begin with in errors.
 * @throws PayloadError when it is too long, nested too deeply, or not JSON; it says where, and what to write instead.
 */
export function toJson(value: unknown, maxBytes: number, pointer: string): string {
  const problem = value === undefined ? undefined : problemOf(value, '', []);
  if (problem) throw new PayloadError(`${pointer}${problem.pointer} ${problem.detail}`);
  let text: string;
  try {
    text = JSON.stringify(value) ?? 'null';
  } catch (error) {
    // Longer than any string may be, for example.
    throw new PayloadError(`${pointer} ${unreadable(error)}`);
  }
  // A character takes up to three bytes in UTF-8, so short texts need not be measured.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw new PayloadError(`${pointer} is longer than ${maxBytes} bytes of JSON (MAX_PAYLOAD)`, true);
  }
  return text;
}

interface Problem {
  pointer: string;
  detail: string;
}

/** @param above the objects that contain the value, outermost first. */
function problemOf(value: unknown, key: string | number, above: object[]): Problem | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : noJson(String(value), 'number');
    case 'object':
      return value === null ? undefined : problemIn(value, key, above);
    case 'bigint':
      return 'toJSON' in BigInt.prototype ? undefined : noJson('a bigint', 'bigint');
    default:
      return noJson(typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`, typeof value);
  }
}

function problemIn(given: object, key: string | number, above: object[]): Problem | undefined {
  if (above.includes(given)) return noJson('circular', 'circle');
  if (above.length >= MAX_DEPTH)
    return { pointer: '', detail: `is nested more than ${MAX_DEPTH} levels deep` };
  let at: string | number | undefined;
  try {
    const { toJSON } = given as { toJSON?: unknown };
    const value = typeof toJSON === 'function' ? toJSON.call(given, String(key)) : given;
    if (typeof value !== 'object' || value === null) return problemInstead(value, given, above);
    const keys = Array.isArray(value) ? undefined : Object.keys(value);
    const strange = keys && strangeness(value);
    if (strange) return strange;
    above.push(value);
    const { length } = keys ?? value;
    for (let index = 0; index < length; index++) {
      at = keys?.[index] ?? index;
      const inner = value[at];
      const problem = inner === undefined && keys ? undefined : problemOf(inner, at, above);
      if (problem) return { ...problem, pointer: pointerTo(at) + problem.pointer };
    }
    above.pop();
    return undefined;
  } catch (error) {
    return { pointer: at === undefined ? '' : pointerTo(at), detail: unreadable(error) };
  }
}

/** The problem with a primitive value that a `toJSON` returned. */
function problemInstead(value: unknown, given: object, above: object[]): Problem | undefined {
  if (value === null && tagOf(given) === 'Date') return noJson('an invalid Date', 'Date');
  const isLeftOut = value === undefined && above.length > 0 && !Array.isArray(above.at(-1));
  return isLeftOut ? undefined : problemOf(value, '', above);
}

/** An object that is more than its enumerable properties; instances of plain classes are not. */
function strangeness(value: object): Problem | undefined {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const tag = tagOf(value);
    if (tag === 'Number') return problemOf(value.valueOf(), '', []);
    if (!PLAIN.has(tag)) return noJson(`of type ${tag}`, tag);
  }
  const symbol = Object.getOwnPropertySymbols(value).find((key) =>
    Object.propertyIsEnumerable.call(value, key),
  );
  return symbol && noJson(`an object with the key ${String(symbol)}`, 'key');
}

/** The types whose instances JSON writes in full. */
const PLAIN = new Set(['Object', 'String', 'Boolean']);

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1);

const noJson = (what: string, type: string): Problem => ({
  pointer: '',
  detail: `is ${what}, which JSON cannot hold: write ${INSTEAD[type] ?? 'plain data, or give it a toJSON method'}`,
});

const unreadable = (error: unknown): string => `cannot be written as JSON: ${describeError(error).message}`;
