import { expect, test } from '@jest/globals';
import { DemoFlaky } from '#contracts';
import { givenJob } from '#testing';
import { DemoFlakyHandler } from './demo-flaky.handler.js';

const handler = new DemoFlakyHandler();

test('fails as often as it is asked to, then works', () => {
  const payload = { failures: 2 };
  expect(() => handler.handle(givenJob(DemoFlaky, payload, { attempt: 1 }))).toThrow(
    'Attempt 1 fails on purpose',
  );
  expect(() => handler.handle(givenJob(DemoFlaky, payload, { attempt: 2 }))).toThrow(
    'Attempt 2 fails on purpose',
  );
  expect(handler.handle(givenJob(DemoFlaky, payload, { attempt: 3 }))).toEqual({ attempts: 3 });
});

test('works at once when it need not fail', () => {
  expect(handler.handle(givenJob(DemoFlaky, { failures: 0 }))).toEqual({ attempts: 1 });
});
