import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { defineJob } from './define-job.js';
import { ContractError } from './errors.js';
import { exponential, problemWithRetry, type Retry, retryPolicy } from './retry.js';

const failure = new Error('no');
const delaysOf = (retry: Parameters<typeof retryPolicy>[0]) => {
  const { maxAttempts, after } = retryPolicy(retry);
  return Array.from({ length: maxAttempts - 1 }, (_, index) => after(index + 1, failure));
};

test('P5: a list has a retry queue for each of its delays, in their order', () => {
  expect(retryPolicy(['5s', '1m'])).toMatchObject({ maxAttempts: 3, queues: ['5s', '1m'] });
  expect(delaysOf(['5s', '1m'])).toEqual([5_000, 60_000]);
  expect(retryPolicy([]).maxAttempts).toBe(1);
});

describe('exponential', () => {
  test('P5: each delay is the factor times the one before, and none is longer than max', () => {
    expect(delaysOf(exponential({ attempts: 6, first: '5s', max: '30s' }))).toEqual([
      5_000, 10_000, 20_000, 30_000, 30_000,
    ]);
    expect(delaysOf(exponential({ attempts: 4, first: '1s', factor: 10 }))).toEqual([1_000, 10_000, 100_000]);
    expect(delaysOf(exponential({ attempts: 3, first: '1s', factor: 1 }))).toEqual([1_000, 1_000]);
    expect(delaysOf(exponential({ attempts: 1_000, first: '1s' })).at(-1)).toBe(86_400_000);
    expect(retryPolicy(exponential({ attempts: 4, first: '1s' })).queues).toEqual([]);
  });

  test('jitter makes delays longer and shorter by its part of them, never longer than max, and they differ', () => {
    const growth = { attempts: 5, first: '10s', max: '40s', jitter: 0.5 } as const;
    const bounds = [
      [5_000, 15_000],
      [10_000, 30_000],
      [20_000, 40_000],
      [20_000, 40_000],
    ] as const;
    const all = Array.from({ length: 200 }, () => delaysOf(exponential(growth)));
    for (const [index, [shortest, longest]] of bounds.entries()) {
      const delays = all.map((one) => one[index] as number);
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(shortest);
      expect(Math.max(...delays)).toBeLessThanOrEqual(longest);
      expect(new Set(delays).size).toBeGreaterThan(100);
    }
  });

  test('is data: what JSON makes of it is the same policy', () => {
    const growth = exponential({ attempts: 3, first: '5s', jitter: 0 });
    expect(delaysOf(JSON.parse(JSON.stringify(growth)))).toEqual(delaysOf(growth));
  });
});

describe('a function of one’s own', () => {
  test('is given the attempt and the error, and gives a duration or milliseconds', () => {
    const delay = (attempt: number, { message }: Error) =>
      message === 'busy' ? ('1h' as const) : attempt * 100;
    const policy = retryPolicy({ attempts: 3, delay });
    expect([policy.after(1, new Error('busy')), policy.after(2, failure)]).toEqual([3_600_000, 200]);
    expect(policy).toMatchObject({ maxAttempts: 3, queues: [] });
  });

  test('is refused where it gives what is no delay', () => {
    const nonsense = [
      undefined,
      null,
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      'soon',
      {},
      Object.create(null),
      [],
    ];
    for (const value of nonsense)
      expect(() => retryPolicy({ attempts: 2, delay: () => value as never }).after(1, failure)).toThrow();
    const later = () => Promise.reject(new Error('lost')) as never;
    expect(() => retryPolicy({ attempts: 2, delay: later }).after(1, failure)).toThrow('not be asynchronous');
  });
});

const first = '5s';
test.each<[unknown, string]>([
  [['soon'], 'retry: "soon" is not a valid duration'],
  [['5s', '0s'], 'retry must be 1ms to 24d, not 0s'],
  [['25d'], 'retry must be 1ms to 24d, not 25d'],
  [Array(1_000).fill('1s'), 'retry must have fewer than 1000 delays'],
  [null, 'retry must be a list of delays'],
  ['5s', 'retry must be a list of delays'],
  [{ attempts: 3 }, 'exponential({ attempts, first })'],
  [exponential({ attempts: 0, first }), 'retry: attempts must be a whole number from 1 to 1000, not 0'],
  [exponential({ attempts: 1.5, first }), 'attempts must be a whole number from 1 to 1000, not 1.5'],
  [exponential({ first } as never), 'attempts must be a whole number'],
  [exponential({ attempts: 3, first: 'soon' as never }), 'retry: first: "soon" is not a valid duration'],
  [exponential({ attempts: 3, first, max: '0s' }), 'retry: max must be 1ms to 24d, not 0s'],
  [exponential({ attempts: 3, first, max: '1s' }), 'retry: first (5s) must not be longer than max (1s)'],
  [exponential({ attempts: 3, first, factor: 0.5 }), 'retry: factor must be a number from 1 on, not 0.5'],
  [
    exponential({ attempts: 3, first, factor: Number.POSITIVE_INFINITY }),
    'factor must be a number from 1 on',
  ],
  [exponential({ attempts: 3, first, jitter: 1.5 }), 'retry: jitter must be a number from 0 to 1, not 1.5'],
  [exponential({ attempts: 3, first, jitter: '10%' as never }), 'not "10%"'],
  [{ attempts: 3, delay: '5s' }, 'retry: delay must be a function'],
  [{ attempts: -1, delay: () => 5 }, 'retry: attempts must be'],
])('a contract with the retry %j is refused, and the error says why', (retry, message) => {
  const define = () =>
    defineJob({ name: 'invoice.render', queue: 'invoices', payload: z.unknown(), retry: retry as never });
  expect(define).toThrow(ContractError);
  expect(define).toThrow(message);
});

test.each([
  [{ startWithin: 'soon' }, 'startWithin: "soon" is not a valid duration'],
  [{ startWithin: '0s' }, 'startWithin must be 1ms to 365d, not 0s'],
  [{ startWithin: null }, 'startWithin: "null" is not a valid duration'],
  [{ timeout: '25d' }, 'timeout must be 1ms to 24d, not 25d'],
])('a contract with %j is refused, and the error says why', (part, message) => {
  const definition = { name: 'invoice.render', queue: 'invoices', payload: z.unknown(), ...part };
  expect(() => defineJob(definition as never)).toThrow(message);
});

test('whatever is given as retry, what is wrong with it can be said, or it is a policy that gives delays', () => {
  fc.assert(
    fc.property(fc.anything(), (retry) => {
      const problem = problemWithRetry(retry);
      if (problem === undefined) expect(delaysOf(retry as never).every((delay) => delay >= 1)).toBe(true);
      else expect(problem).toMatch(/^retry/);
    }),
  );
});

test('TypeScript refuses what is no policy', () => {
  const policies: Retry[] = [
    // @ts-expect-error no duration
    ['soon'],
    // @ts-expect-error attempts are missing
    exponential({ first }),
    // @ts-expect-error a promise is no delay
    { attempts: 2, delay: async () => 5 },
  ];
  expect(policies).toHaveLength(3);
});
