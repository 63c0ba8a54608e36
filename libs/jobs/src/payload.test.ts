import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { defineJob } from '#define-job';
import { isTooDeep, parseOrThrow, toViolations } from './payload.js';

test('brackets in strings do not count as depth', () => {
  expect(isTooDeep(JSON.stringify('['.repeat(10_000)))).toBe(false);
  expect(isTooDeep(JSON.stringify({ '"[': `\\"${'{'.repeat(500)}` }))).toBe(false);
  expect(isTooDeep(`${'['.repeat(200)}${']'.repeat(200)}`)).toBe(false);
  expect(isTooDeep(`${'['.repeat(201)}${']'.repeat(201)}`)).toBe(true);
  fc.assert(fc.property(fc.json({ maxDepth: 50 }), (text) => !isTooDeep(text)));
});

test('pointers are those of RFC 6901', () => {
  const { error } = z
    .object({ 'a/b': z.object({ '~': z.array(z.int()) }) })
    .safeParse({ 'a/b': { '~': [1, 'x'] } });
  expect(toViolations(error!.issues, '/payload')).toEqual([
    { pointer: '/payload/a~1b/~0/1', detail: expect.any(String) },
  ]);
});

test.each<[string, z.ZodType, RegExp]>([
  [
    'throws',
    z.string().transform((text) => {
      throw new TypeError(`no ${text} here`);
    }),
    /^\/payload: its schema threw no x here: report/,
  ],
  ['is async', z.string().refine(async () => true), /^\/payload: its schema is asynchronous/],
])('P6: a value whose schema %s does not fit, and the error says so', (_, payload, problem) => {
  const contract = defineJob({
    name: 'a.b',
    queue: 'a',
    payload,
    result: z.null(),
    retry: [],
    timeout: '1s',
  });
  expect(() => parseOrThrow(contract, 'payload', 'x')).toThrow(
    expect.objectContaining({
      name: 'ContractViolationError',
      message: expect.stringMatching(new RegExp(`a.b: ${problem.source.slice(1)}`)),
    }),
  );
});
