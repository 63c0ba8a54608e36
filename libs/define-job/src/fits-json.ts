import type { z } from 'zod';
import { pointerTo } from './json-pointer.js';
import { innerOf, type Schema } from './schema-walk.js';

/** What no JSON fits, by the schema's type, and what to write instead. */
const INSTEAD: Record<string, string> = {
  date: 'z.iso.datetime(), or z.coerce.date() to get a Date from it',
  bigint: 'z.coerce.bigint(), and give it a string',
  map: 'z.record()',
  set: 'z.array()',
  symbol: 'z.string() or z.enum()',
  undefined: '.optional() on a property, or z.null()',
  void: 'z.null(), or leave it out',
  nan: 'z.null()',
  promise: 'the schema of what it resolves to',
  file: 'the schema of its path or id',
};

/** Advice for something that is expected and that JSON cannot be; empty for all else. */
export const adviceOn = (expected: string): string =>
  Object.hasOwn(INSTEAD, expected) ? `; in JSON there is none: the schema may be ${INSTEAD[expected]}` : '';

/**
 * Finds the part of a schema that no JSON fits, such as `z.date()`: what producers hand over and handlers return goes
 * through JSON first. What may be absent or null fits, and so does a union with another option. `z.custom()` is taken
 * to fit, for nobody knows what it checks.
 *
 * @returns where that part is, as a JSON Pointer with `*` for all elements, what it is, and what to write instead.
 */
export function misfitOf(root: z.core.$ZodType): string | undefined {
  const known = new Map<z.core.$ZodType, Misfit | undefined>();
  const find: Find = (schema) => {
    // One that contains itself may be as deep as it likes.
    if (!known.has(schema)) {
      known.set(schema, undefined);
      known.set(schema, misfitIn(schema as Schema, find));
    }
    return known.get(schema);
  };
  const misfit = find(root);
  if (!misfit) return undefined;
  const { pointer, type } = misfit;
  return `${pointer} is z.${type}(), which no JSON fits: write ${INSTEAD[type] ?? 'a schema of plain data'}, or a codec`;
}

interface Misfit {
  pointer: string;
  type: string;
}

type Find = (schema: z.core.$ZodType) => Misfit | undefined;

function misfitIn(schema: Schema, find: Find): Misfit | undefined {
  const { def, bag } = schema._zod;
  const here = { pointer: '', type: def.type };
  switch (def.type) {
    case 'date':
    case 'bigint':
      return def.coerce ? undefined : here;
    case 'map':
    case 'set':
    case 'symbol':
    case 'undefined':
    case 'void':
    case 'never':
    case 'nan':
    case 'function':
    case 'promise':
    case 'file':
      return here;
    case 'custom':
      return typeof bag.Class === 'function' && bag.Class !== Object
        ? { ...here, type: 'instanceof' }
        : undefined;
    case 'literal':
      return def.values.some((value) => value !== undefined && typeof value !== 'bigint') ? undefined : here;
    case 'union': {
      const misfits = def.options.map(find);
      return misfits.every(Boolean) ? misfits[0] : undefined;
    }
    case 'intersection':
      return find(def.left) ?? find(def.right);
    case 'pipe':
      return find(def.in);
    case 'readonly':
    case 'nonoptional':
      return find(def.innerType);
    default:
      return misfitInside(schema, find);
  }
}

function misfitInside(schema: Schema, find: Find): Misfit | undefined {
  const { keys, others } = innerOf(schema);
  for (const [key, inner] of Object.entries({ ...keys, '*': others })) {
    // Of what never is there are no others.
    const isNone = !inner || (inner === others && inner._zod.def.type === 'never');
    const misfit = isNone ? undefined : find(inner);
    if (misfit) return { ...misfit, pointer: pointerTo(key) + misfit.pointer };
  }
  return undefined;
}
