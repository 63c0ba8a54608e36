import { expect, test } from '@jest/globals';
import { RetryAfterError } from './errors.js';
import { retryAfter } from './retry-after.js';

const now = Date.parse('2026-03-01T12:00:00Z');

test.each([
  ['seconds', '120', 120_000],
  ['zero', '0', 0],
  ['a date to come', 'Sun, 01 Mar 2026 12:01:30 GMT', 90_000],
  ['a date that has passed', 'Sun, 01 Mar 2026 11:00:00 GMT', 0],
  ['the first of several', ['5', '60'], 5_000],
])('reads %s', (_, value, expected) => {
  expect(retryAfter(value, now)).toBe(expected);
});

test.each([
  undefined,
  '',
  'soon',
  '-5',
  '1.5',
  '1e9',
  '99999999999999999999',
  'Sun, 99 Mar 2026 12:00:00 GMT',
  '2026-03-02',
])('takes no notice of %p', (value) => {
  expect(retryAfter(value, now)).toBeUndefined();
});

test('an error takes a duration, milliseconds, or what the header holds', () => {
  const delays = ['90s' as const, 1_500, '120', 'Sun, 01 Mar 2020 12:00:00 GMT'];
  expect(delays.map((delay) => new RetryAfterError(delay).delay)).toEqual([90_000, 1_500, 120_000, 0]);
  for (const bad of ['soon', '', '-5', Number.NaN])
    expect(() => new RetryAfterError(bad)).toThrow(/is not a valid duration/);
});
