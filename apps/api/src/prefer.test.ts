import { expect, test } from '@jest/globals';
import { preferredWaitMs } from './prefer.js';

test.each([
  ['wait=5', 5_000],
  ['respond-async, wait=10', 10_000],
  ['WAIT = "3"; foo=bar, handling=lenient', 3_000],
  ['wait=0', 0],
  ['wait=100000', 30_000],
  ['wait=5, wait=9', 5_000],
])('%s', (header, expected) => {
  expect(preferredWaitMs(header)).toBe(expected);
});

test.each([
  undefined,
  '',
  'respond-async',
  'wait',
  'wait=',
  'wait=-1',
  'wait=1.5',
  'wait=soon',
  'await=5',
  'wait=5s',
])('no wait: %s', (header) => {
  expect(preferredWaitMs(header)).toBeUndefined();
});
