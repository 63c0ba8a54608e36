import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from './define-job.js';
import { misfitOf } from './fits-json.js';

const instant = z.codec(z.iso.datetime(), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});
const Tree = z.object({
  at: z.iso.datetime(),
  get children() {
    return z.array(Tree);
  },
});
const DatedTree = z.object({
  get children() {
    return z.array(DatedTree);
  },
  at: z.date(),
});
const date = z.date();

describe('no JSON fits', () => {
  test.each<[string, z.ZodType, string]>([
    ['a date', z.object({ at: z.date() }), '/at is z.date(), which no JSON fits: write z.iso.datetime()'],
    ['a date with checks and a name', z.date().min(new Date()).meta({ id: 'x' }).brand('y'), ' is z.date()'],
    [
      'a date far inside',
      z.array(z.object({ 'a/b': z.tuple([z.string(), z.date()]) })),
      '/*/a~1b/1 is z.date()',
    ],
    ['a date that must be there', z.object({ at: z.date().readonly() }), '/at is z.date()'],
    ['a date that becomes a text', z.date().transform(String), ' is z.date()'],
    ['a date among others of its kind', z.union([z.date(), z.map(z.string(), z.any())]), ' is z.date()'],
    [
      'a date that is also in a union',
      z.object({ a: z.union([date, z.string()]), b: date }),
      '/b is z.date()',
    ],
    ['a date in a tree', DatedTree, '/at is z.date()'],
    ['all that a date stands under', z.record(z.string(), z.date()), '/* is z.date()'],
    ['an object with dates beside', z.object({}).catchall(z.date()), '/* is z.date()'],
    ['an intersection', z.object({}).and(z.object({ at: z.date() })), '/at is z.date()'],
    ['the wrong way round', z.invertCodec?.(instant) ?? z.date(), ' is z.date()'],
    ['a map', z.map(z.string(), z.number()), ' is z.map(), which no JSON fits: write z.record()'],
    ['a set', z.set(z.string()), ' is z.set()'],
    ['a bigint', z.object({ n: z.int64() }), '/n is z.bigint()'],
    ['nothing', z.void(), ' is z.void(), which no JSON fits: write z.null()'],
    ['undefined', z.undefined(), ' is z.undefined()'],
    ['never', z.never(), ' is z.never()'],
    ['NaN', z.nan(), ' is z.nan()'],
    ['a symbol', z.symbol(), ' is z.symbol()'],
    ['a function', z.object({ done: z.function() }), '/done is z.function()'],
    ['a promise', z.promise(z.string()), ' is z.promise()'],
    ['a file', z.object({ file: z.file() }), '/file is z.file()'],
    ['an instance', z.object({ url: z.instanceof(URL) }), '/url is z.instanceof(), which no JSON fits'],
    ['literals that JSON has not', z.literal([undefined, 1n]), ' is z.literal()'],
  ])('%s', (_, schema, problem) => {
    expect(misfitOf(schema)).toContain(problem);
    expect(() => defineJob({ name: 'a.b', queue: 'a', payload: schema })).toThrow(`/payload${problem}`);
    expect(() => defineJob({ name: 'a.b', queue: 'a', payload: z.any(), result: schema })).toThrow(
      `/result${problem}`,
    );
  });
});

describe('JSON fits', () => {
  test.each<[string, z.ZodType]>([
    ['a date made of a text', z.object({ at: z.coerce.date() })],
    ['a codec', z.object({ at: instant })],
    ['what is made a map of', z.preprocess((value) => new Map([[value, 1]]), z.map(z.any(), z.any()))],
    ['a bigint made of a text', z.coerce.bigint()],
    ['what may be absent', z.object({ at: z.date().optional(), never: z.never().optional() })],
    [
      'what has a default',
      z.object({ at: z.date().default(() => new Date()) }).default(() => ({ at: new Date() })),
    ],
    ['what has another way', z.union([z.date(), z.string()])],
    ['an object that has no others', z.strictObject({ a: z.string(), b: z.record(z.string(), z.never()) })],
    ['what nobody knows', z.object({ a: z.custom((value) => value === 1), b: z.any(), c: z.unknown() })],
    ['a tree', Tree],
    ['itself', z.lazy(() => Tree)],
    ['any JSON', z.json()],
  ])('%s', (_, schema) => {
    expect(misfitOf(schema)).toBeUndefined();
    defineJob({ name: 'a.b', queue: 'a', payload: schema, result: schema });
  });
});
