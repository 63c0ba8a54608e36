import { expect, test } from '@jest/globals';
import { FailedAttempts } from './attempts.js';

test('five wrong passwords are let through, then one a minute', () => {
  let now = 0;
  const attempts = new FailedAttempts(() => now);
  for (let attempt = 0; attempt < 5; attempt++) {
    expect(attempts.waitS('ada')).toBe(0);
    attempts.count('ada');
  }
  expect(attempts.waitS('ada')).toBe(60);
  expect(attempts.waitS('bob')).toBe(0);
  now += 60_000;
  expect(attempts.waitS('ada')).toBe(0);
  attempts.count('ada');
  expect(attempts.waitS('ada')).toBe(60);
});

test('the right password makes up for the wrong ones', () => {
  const attempts = new FailedAttempts(() => 0);
  for (let attempt = 0; attempt < 5; attempt++) attempts.count('ada');
  attempts.forget('ada');
  expect(attempts.waitS('ada')).toBe(0);
});
