import { expect, test } from '@jest/globals';
import { DatabaseClock } from './database-clock.js';

test('what is known of the offset gets better with each statement, and never worse', () => {
  const clock = new DatabaseClock();
  // The database is 1,000 ahead; the first statement took long on its way back, the second one on its way there.
  clock.observe(1_001, 0, 40);
  expect([clock.earliest(1_500), clock.latest(1_500)]).toEqual([499, 539]);
  clock.observe(1_130, 100, 131);
  expect([clock.earliest(1_500), clock.latest(1_500)]).toEqual([499, 501]);
  clock.observe(1_210, 200, 300);
  expect([clock.earliest(1_500), clock.latest(1_500)]).toEqual([499, 501]);
});

test('a clock that was set is learned again', () => {
  const clock = new DatabaseClock();
  clock.observe(1_001, 0, 2);
  clock.observe(9_101, 100, 102);
  expect([clock.earliest(9_201), clock.latest(9_201)]).toEqual([200, 202]);
});

test('what is old is learned again, as clocks drift', () => {
  const clock = new DatabaseClock();
  clock.observe(1_001, 0, 2);
  clock.observe(101_001, 100_000, 100_010);
  expect([clock.earliest(101_101), clock.latest(101_101)]).toEqual([100_100, 100_110]);
});
