import { expect, test } from '@jest/globals';
import { sharesOf } from './priorities.js';

test('a prefetch is shared out, and every priority has at least one place', () => {
  expect(sharesOf(20)).toEqual({ high: 10, normal: 7, low: 3 });
  expect(sharesOf(3)).toEqual({ high: 1, normal: 1, low: 1 });
  expect(sharesOf(1)).toEqual({ high: 1, normal: 1, low: 1 });
});
