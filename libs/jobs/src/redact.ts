import type { z } from 'zod';
import { facesOf, innerOf, isEncrypted, isSecret, type Schema } from '#define-job';
import { isNoSecret, isSecretKey, REDACTED } from '#telemetry';

type Test = (schema: z.core.$ZodType) => boolean;

/** Whether anything in a schema is marked. */
const hasAny = (isMarked: Test): Test =>
  cached((root) => {
    const seen = new Set([root]);
    // A set that grows while it is gone through: schemas may contain themselves.
    for (const schema of seen) {
      const { keys, others } = innerOf(schema);
      for (const inner of [...facesOf(schema), ...Object.values(keys), others])
        if (inner) seen.add(inner as Schema);
    }
    return [...seen].some(isMarked);
  });

const isNothing = (value: unknown) => value === null || value === undefined;
const SECRET = { isMarked: cached(isSecret), hasMarks: hasAny(isSecret), isLeft: isNoSecret };
const ENCRYPTED = { isMarked: cached(isEncrypted), hasMarks: hasAny(isEncrypted), isLeft: isNothing };
export const { hasMarks } = SECRET;
/** Whether anything in a schema is to be encrypted. */
export const hasEncrypted = ENCRYPTED.hasMarks;

/** Remembers what was found out of a schema, which does not change. */
function cached(find: (schema: Schema) => boolean): Test {
  const known = new WeakMap<z.core.$ZodType, boolean>();
  return (schema) => {
    let answer = known.get(schema);
    if (answer === undefined) {
      answer = find(schema as Schema);
      known.set(schema, answer);
    }
    return answer;
  };
}

/** Deeper than any payload that is accepted. */
const MAX_DEPTH = 210;

interface Redaction {
  /** Whether keys that name secrets count; true when absent. */
  keys?: boolean;
  /** Gets every secret that is taken out. */
  found?: (secret: unknown) => void;
}

/**
 * A copy of JSON data with `[redacted]` where the schema has a mark or a key names a secret. The data need not fit the
 * schema. Without either to be found, it is the value itself.
 */
export function redact(
  value: unknown,
  schema?: z.core.$ZodType,
  { keys = true, found }: Redaction = {},
): unknown {
  const take = (secret: unknown) => {
    found?.(secret);
    return REDACTED;
  };
  return replaceMarked(value, schema, SECRET, take, keys ? isSecretKey : undefined);
}

/** A copy of JSON data with something else in place of what is to be encrypted. */
export const replaceEncrypted = (
  value: unknown,
  schema: z.core.$ZodType,
  replace: (part: unknown) => unknown,
): unknown => replaceMarked(value, schema, ENCRYPTED, replace);

function replaceMarked(
  value: unknown,
  schema: z.core.$ZodType | undefined,
  { isMarked, hasMarks, isLeft }: typeof SECRET,
  take: (part: unknown) => unknown,
  isHidden?: (key: string) => boolean,
): unknown {
  const walk = (value: unknown, schemas: Schema[], depth: number): unknown => {
    if (isLeft(value)) return value;
    // An array that grows while it is gone through.
    for (const schema of schemas) {
      if (isMarked(schema)) return take(value);
      for (const face of facesOf(schema, value) as Schema[])
        if (hasMarks(face) && !schemas.includes(face)) schemas.push(face);
    }
    if (typeof value !== 'object' || value === null || (schemas.length === 0 && !isHidden)) return value;
    if (depth > MAX_DEPTH) return REDACTED;
    const isList = Array.isArray(value);
    const fields = value as Record<string, unknown>;
    let copy: Record<string, unknown> | undefined;
    for (const key of Object.keys(fields)) {
      const inner = fields[key];
      const isTaken = !isList && isHidden?.(key) && !isLeft(inner);
      const after = isTaken ? take(inner) : walk(inner, below(schemas, key, hasMarks), depth + 1);
      if (after === inner) continue;
      copy ??= (isList ? [...value] : { ...value }) as Record<string, unknown>;
      copy[key] = after;
    }
    return copy ?? value;
  };
  return walk(value, schema && hasMarks(schema) ? [schema as Schema] : [], 0);
}

/** The schemas with marks for what stands under a key. */
function below(schemas: Schema[], key: string, hasMarks: Test): Schema[] {
  const found: Schema[] = [];
  for (const schema of schemas) {
    const { keys, others } = innerOf(schema);
    const inner = Object.hasOwn(keys, key) ? keys[key] : others;
    if (inner && hasMarks(inner)) found.push(inner as Schema);
  }
  return found;
}
