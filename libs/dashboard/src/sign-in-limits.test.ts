import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { FailedAttempts } from './sign-in-limits.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('five wrong passwords are let through, then one a minute', async () => {
  const attempts = new FailedAttempts();
  for (let attempt = 0; attempt < 5; attempt++) expect(await attempts.count('ada')).toBe(0);
  expect(await attempts.count('ada')).toBe(60);
  expect(await attempts.count('bob')).toBe(0);
  jest.advanceTimersByTime(60_000);
  expect(await attempts.count('ada')).toBe(0);
  expect(await attempts.count('ada')).toBe(60);
});

test('the right password makes up for the wrong ones', async () => {
  const attempts = new FailedAttempts();
  for (let attempt = 0; attempt < 5; attempt++) await attempts.count('ada');
  await attempts.forget('ada');
  expect(await attempts.count('ada')).toBe(0);
});
