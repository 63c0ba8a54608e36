import { expect, test } from '@jest/globals';
import { FlagsError, readFlags } from './flags.js';

test('without arguments the worker works until it is stopped', () => {
  expect(readFlags([])).toBeUndefined();
});

test.each([
  [['--drain'], {}],
  [['--drain', '--max-jobs', '100'], { maxJobs: 100 }],
  [['--max-time=5m', '--drain'], { maxTimeMs: 300_000 }],
  [['--drain', '--max-jobs=1', '--max-time', '500ms'], { maxJobs: 1, maxTimeMs: 500 }],
])('%j', (args, expected) => {
  expect(readFlags(args)).toEqual(expected);
});

test.each([
  [['--max-jobs', '5'], /started with --drain/],
  [['--max-time', '5m'], /started with --drain/],
  [['--drain', '--max-jobs', '0'], /--max-jobs must be a whole number from 1, not "0"/],
  [['--drain', '--max-jobs', '1e3'], /--max-jobs must be/],
  [['--drain', '--max-jobs=-1'], /--max-jobs must be/],
  [['--drain', '--max-jobs'], /--max-jobs/],
  [['--drain', '--max-time', '5'], /"5" is not a valid duration/],
  [['--drain', '--max-time', '0s'], /1ms to 24d/],
  [['--drain', '--max-time', '25d'], /1ms to 24d/],
  [['--drain=yes'], /--drain/],
  [['--drian'], /--drian/],
  [['email'], /email/],
])('%j is refused, with the reason and the usage', (args, message) => {
  expect(() => readFlags(args)).toThrow(FlagsError);
  expect(() => readFlags(args)).toThrow(message);
  expect(() => readFlags(args)).toThrow(/Usage: node dist\/apps\/worker\/main\.js/);
});
