import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { secret } from '#define-job';
import { JobSecrets } from './job-secrets.js';
import { hasMarks, redact } from './redact.js';

const hidden = '[redacted]';

describe('redact', () => {
  const code = secret(z.string());
  test.each<[string, z.ZodType, unknown, unknown]>([
    ['the whole', code, 'a', hidden],
    ['a field', z.object({ a: code, b: z.string() }), { a: 'x', b: 'y' }, { a: hidden, b: 'y' }],
    [
      'one that more was asked of later',
      z.object({ a: code.min(3).describe('it') }),
      { a: 'xyz' },
      { a: hidden },
    ],
    ['a number', z.object({ a: secret(z.int()) }), { a: 1234 }, { a: hidden }],
    ['an object', z.object({ a: secret(z.object({ b: z.string() })) }), { a: { b: 'x' } }, { a: hidden }],
    ['items', z.array(z.object({ a: code })), [{ a: 'x' }, { a: 'y' }], [{ a: hidden }, { a: hidden }]],
    ['places of a tuple', z.tuple([z.string(), code], code), ['x', 'y', 'z'], ['x', hidden, hidden]],
    ['values of a record', z.record(z.string(), code), { a: 'x' }, { a: hidden }],
    [
      'what is left over',
      z.object({ a: z.string() }).catchall(code),
      { a: 'x', b: 'y' },
      { a: 'x', b: hidden },
    ],
    ['optional ones', z.object({ a: code.nullish().default('x') }), { a: 'x' }, { a: hidden }],
    [
      'ones that were transformed',
      z.object({ a: code.transform(Number).pipe(z.number()) }),
      { a: '1' },
      { a: hidden },
    ],
    [
      'both sides of an intersection',
      z.object({ a: code }).and(z.object({ b: code })),
      { a: 'x', b: 'y' },
      { a: hidden, b: hidden },
    ],
    [
      'any side of a union',
      z.union([z.object({ a: z.string() }), z.object({ a: code })]),
      { a: 'x' },
      { a: hidden },
    ],
  ])('takes out %s', (_, schema, value, expected) => {
    expect(redact(value, schema)).toEqual(expected);
  });

  test('goes by the discriminator of a union, and where it is none of them, by all', () => {
    const schema = z.discriminatedUnion('by', [
      z.object({ by: z.literal('open'), value: z.string() }),
      z.object({ by: z.literal('closed'), value: code }),
    ]);
    expect(redact({ by: 'open', value: 'x' }, schema)).toEqual({ by: 'open', value: 'x' });
    expect(redact({ by: 'closed', value: 'x' }, schema)).toEqual({ by: 'closed', value: hidden });
    expect(redact({ by: 'odd', value: 'x' }, schema)).toEqual({ by: 'odd', value: hidden });
  });

  test('follows schemas that contain themselves', () => {
    const tree = z.object({
      name: z.string(),
      key: code,
      get below() {
        return z.array(tree);
      },
    });
    expect(redact({ name: 'a', key: 'x', below: [{ name: 'b', key: 'y', below: [] }] }, tree)).toEqual({
      name: 'a',
      key: hidden,
      below: [{ name: 'b', key: hidden, below: [] }],
    });
  });

  test.each([
    'password',
    'dbPassword',
    'x-api-key',
    'API_KEYS',
    'accessToken',
    'Authorization',
    'Set-Cookie',
    'privateKey',
    'webhook_secret',
    'credentials',
    'webhook-signature',
    'clientSecret',
  ])('takes out what stands under %s', (key) => {
    expect(redact({ some: [{ [key]: { inner: 'x' } }] })).toEqual({ some: [{ [key]: hidden }] });
  });
  test.each(['maxTokens', 'tokenCount', 'secretary', 'signatureRequired', 'key', 'author'])(
    'leaves %s',
    (key) => {
      expect(redact({ [key]: 'x' })).toEqual({ [key]: 'x' });
    },
  );
  test('leaves what tells no secret', () => {
    expect(redact({ password: null, token: true, secret: undefined })).toEqual({
      password: null,
      token: true,
    });
  });
  test('of a result, what stands under a key only if it is marked', () => {
    expect(redact({ token: 'x', code: 'y' }, z.looseObject({ code }), { keys: false })).toEqual({
      token: 'x',
      code: hidden,
    });
  });

  test('does not need values that fit', () => {
    const schema = z.object({ a: z.array(z.object({ b: code })) });
    for (const value of [
      null,
      'x',
      1,
      [],
      { a: 'x' },
      { a: null },
      { a: { b: 'x' } },
      { a: [[1], { c: 2 }] },
    ]) {
      expect(redact(value, schema)).toEqual(value);
    }
    expect(redact({ a: [{ b: ['odd'], c: 1 }] }, schema)).toEqual({ a: [{ b: hidden, c: 1 }] });
  });
  test('hands out the value itself where nothing is secret, and never changes it', () => {
    const clean = { a: [{ b: 'x' }] };
    expect(redact(clean)).toBe(clean);
    const value = Object.freeze({ a: Object.freeze([Object.freeze({ password: 'x' })]), b: clean });
    expect(redact(value)).toEqual({ a: [{ password: hidden }], b: clean });
    expect(value.a[0]?.password).toBe('x');
  });

  test('hasMarks finds marks at any depth', () => {
    expect(hasMarks(z.object({ a: z.array(z.union([z.string(), z.record(z.string(), code)])) }))).toBe(true);
    expect(hasMarks(z.object({ a: z.array(z.union([z.string(), z.json()])) }))).toBe(false);
  });
});

describe('JobSecrets', () => {
  const schema = z.object({ code: secret(z.string()), list: secret(z.array(z.string())).optional() });

  test('are taken out of texts by value, however they are quoted', () => {
    const value = 'top "secret" & more';
    const secrets = new JobSecrets(() => [
      [{ code: value, password: 'hunter22', list: ['hunter22-extended'] }, schema],
    ]);
    expect(
      secrets.scrub(
        `${value} ${JSON.stringify({ value })} ?code=${encodeURIComponent(value)} hunter22 hunter22-extended`,
      ),
    ).toBe(`${hidden} {"value":"${hidden}"} ?code=${hidden} ${hidden} ${hidden}`);
  });
  test('of a few characters are left, because every text has those', () => {
    expect(new JobSecrets(() => [[{ code: 'abc' }, schema]]).scrub('abc')).toBe('abc');
  });
  test('that cannot be told take the text with them', () => {
    const tooMany = Array.from({ length: 101 }, (_, index) => `secret number ${index}`);
    expect(new JobSecrets(() => [[{ code: 'x', list: tooMany }, schema]]).scrub('any')).toBe(hidden);
    const failing = () => {
      throw new Error('no');
    };
    expect(new JobSecrets(failing).scrub('any')).toBe(hidden);
  });
});
