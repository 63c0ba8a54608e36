import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PayloadError } from './errors.js';
import { toJson } from './json.js';

const circle: Record<string, unknown> = {};
circle.a = [circle];
const failing = {
  toJSON() {
    throw new RangeError('not today');
  },
};
const revoked = Proxy.revocable({}, {});
revoked.revoke();

describe('toJson refuses, and names the place', () => {
  test.each<[string, unknown, string | RegExp]>([
    [
      'a Map',
      { a: new Map([[1, 2]]) },
      '/payload/a is of type Map, which JSON cannot hold: write Object.fromEntries',
    ],
    ['a Set', [1, new Set()], '/payload/1 is of type Set'],
    ['a WeakMap', { 'a/b': { '~': new WeakMap() } }, '/payload/a~1b/~0 is of type WeakMap'],
    ['a class made of a Map', new (class Registry extends Map {})(), '/payload is of type Map'],
    ['bytes', { a: new Uint8Array(3) }, '/payload/a is of type Uint8Array'],
    ['a buffer of bytes', { a: new ArrayBuffer(3) }, '/payload/a is of type ArrayBuffer'],
    ['a regular expression', { a: /x/ }, '/payload/a is of type RegExp'],
    ['an error', { a: Object.assign(new TypeError('x'), { code: 1 }) }, '/payload/a is of type Error'],
    ['a promise', { a: Promise.resolve(1) }, '/payload/a is of type Promise'],
    ['what the web knows', { a: new Headers({ a: 'b' }) }, '/payload/a is of type Headers'],
    ['an iterator', { a: new Map().keys() }, '/payload/a is of type Map Iterator'],
    ['a function', { a: () => 1 }, '/payload/a is a function'],
    ['a symbol', { a: Symbol('x') }, '/payload/a is a symbol'],
    ['a key that is a symbol', { a: { [Symbol('x')]: 1 } }, '/payload/a is an object with the key Symbol(x)'],
    ['a function alone', () => 1, '/payload is a function'],
    [
      'undefined in an array',
      { a: [1, undefined] },
      '/payload/a/1 is undefined, which JSON cannot hold: write null',
    ],
    // biome-ignore lint/suspicious/noSparseArray: it is what is refused
    ['a hole in an array', [1, , 3], '/payload/1 is undefined'],
    ['NaN', { a: Number.NaN }, '/payload/a is NaN'],
    ['Infinity', [[Number.NEGATIVE_INFINITY]], '/payload/0/0 is -Infinity'],
    ['NaN in a box', Object(Number.NaN), '/payload is NaN'],
    ['a bigint', { a: 1n }, '/payload/a is a bigint, which JSON cannot hold: write String(value)'],
    ['a bigint in a box', { a: Object(1n) }, '/payload/a is of type BigInt'],
    ['an invalid date', { a: new Date('x') }, '/payload/a is an invalid Date'],
    ['a circle', { b: circle }, '/payload/b/a/0 is circular'],
    ['a toJSON that throws', { a: failing }, '/payload/a cannot be written as JSON: not today'],
    [
      'a toJSON that gives no JSON',
      { a: { toJSON: () => ({ b: new Set() }) } },
      '/payload/a/b is of type Set',
    ],
    ['a toJSON that gives nothing, in an array', [{ toJSON: () => undefined }], '/payload/0 is undefined'],
    ['a toJSON that gives a date', { toJSON: () => new Date() }, '/payload is of type Date'],
    [
      'a getter that throws',
      {
        get a() {
          throw new Error('never');
        },
      },
      '/payload/a cannot be written as JSON: never',
    ],
    ['a proxy that is gone', { a: revoked.proxy }, /^\/payload\/a cannot be written as JSON: .*proxy/],
    [
      'what throws nothing that could be read',
      { toJSON: () => fail(Object.create(null)) },
      '/payload cannot be',
    ],
    ['too many bytes', '€'.repeat(400), '/payload is longer than 1000 bytes'],
    ['too much depth', JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`), /nested more than 200 levels/],
  ])('%s', (_, value, message) => {
    expect(() => toJson(value, 1_000, '/payload')).toThrow(PayloadError);
    expect(() => toJson(value, 1_000, '/payload')).toThrow(message);
  });
});

const fail = (error: unknown) => {
  throw error;
};

describe('toJson writes', () => {
  test.each<[string, unknown, unknown]>([
    ['a date', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
    ['a URL', [new URL('https://example.org/a')], ['https://example.org/a']],
    ['a Buffer', Buffer.from('a'), { type: 'Buffer', data: [97] }],
    [
      'what its own toJSON gives',
      { price: { toJSON: (key: string) => `${key} 1.20` } },
      { price: 'price 1.20' },
    ],
    [
      'an instance of a class',
      new (class Point {
        x = 1;
        #y = 2;
        sum = this.#y;
      })(),
      { x: 1, sum: 2 },
    ],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ['a value twice', [circle.b, { a: 1 }].slice(1).flatMap((a) => [a, a]), [{ a: 1 }, { a: 1 }]],
    [
      'properties that are undefined not at all',
      { a: undefined, b: { toJSON: () => undefined }, c: 1 },
      { c: 1 },
    ],
    ['boxes', { a: Object(1), b: Object('b'), c: Object(true) }, { a: 1, b: 'b', c: true }],
    ['nothing as null', undefined, null],
    ['minus zero as zero', -0, 0],
    ['halves of surrogate pairs', '\ud800', '\ud800'],
  ])('%s', (_, value, expected) => {
    expect(JSON.parse(toJson(value, 1_000, ''))).toStrictEqual(expected);
  });
  test('whatever JSON keeps, as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(toJson(value, 1e9, '')).toBe(JSON.stringify(value));
      }),
    );
  });
  test('whatever it takes, with no number lost and no hole filled', () => {
    fc.assert(
      fc.property(
        fc.anything({
          ...{ withMap: true, withSet: true, withTypedArray: true, withSparseArray: true },
          // JSON knows one zero: -0 + 0 is 0.
          values: [
            ...[fc.boolean(), fc.string(), fc.maxSafeInteger(), fc.constant(null), fc.constant(undefined)],
            fc.double().map((number) => number + 0),
          ],
        }),
        (value) => {
          let text: string;
          try {
            text = toJson(value, 1e9, '');
          } catch (error) {
            expect(error).toBeInstanceOf(PayloadError);
            return;
          }
          // What undefined leaves out apart, both are the same: toEqual looks over it.
          expect(JSON.parse(text)).toEqual(value ?? null);
        },
      ),
    );
  });
});
