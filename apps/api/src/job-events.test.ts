import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { EventStream, KEEP_ALIVE_MS } from '#http';
import { JobEvents } from './job-events.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

test.each([
  ['the dashboard', () => new EventStream(2_000)],
  ['a job', () => new JobEvents('')],
])('the events of %s say from time to time that the stream stands, until it ends', async (_, open) => {
  const stream = open();
  expect(String(stream.read())).toMatch(/^retry: \d+\n\n$/);
  jest.advanceTimersByTime(KEEP_ALIVE_MS);
  expect(String(stream.read())).toBe(': still here\n\n');
  // Nobody reads: one is enough.
  jest.advanceTimersByTime(5 * KEEP_ALIVE_MS);
  expect(String(stream.read())).toBe(': still here\n\n');
  stream.stop();
  jest.advanceTimersByTime(KEEP_ALIVE_MS);
  expect(stream.read()).toBeNull();
  expect(jest.getTimerCount()).toBe(0);
});
