import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { PayloadError } from './errors.js';
import { isTooDeep, toJson, toViolations } from './payload.js';

test('brackets in strings do not count as depth', () => {
  expect(isTooDeep(JSON.stringify('['.repeat(10_000)))).toBe(false);
  expect(isTooDeep(JSON.stringify({ '"[': `\\"${'{'.repeat(500)}` }))).toBe(false);
  expect(isTooDeep(`${'['.repeat(200)}${']'.repeat(200)}`)).toBe(false);
  expect(isTooDeep(`${'['.repeat(201)}${']'.repeat(201)}`)).toBe(true);
  fc.assert(fc.property(fc.json({ maxDepth: 50 }), (text) => !isTooDeep(text)));
});

test.each<[string, () => unknown, RegExp]>([
  [
    'a circle',
    () => {
      const a: Record<string, unknown> = {};
      a.a = a;
      return a;
    },
    /cannot be written as JSON/,
  ],
  ['a bigint', () => 1n, /cannot be written as JSON/],
  ['too many bytes', () => '€'.repeat(400), /longer than 1000 bytes/],
  ['too much depth', () => JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`), /nested more than/],
])('%s is refused', (_, make, message) => {
  expect(() => toJson(make(), 1_000)).toThrow(PayloadError);
  expect(() => toJson(make(), 1_000)).toThrow(message);
});

test('pointers are those of RFC 6901', () => {
  const { error } = z
    .object({ 'a/b': z.object({ '~': z.array(z.int()) }) })
    .safeParse({ 'a/b': { '~': [1, 'x'] } });
  expect(toViolations(error!, '/payload')).toEqual([
    { pointer: '/payload/a~1b/~0/1', detail: expect.any(String) },
  ]);
});
