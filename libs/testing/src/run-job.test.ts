import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  type BatchHandler,
  defineJob,
  type Handler,
  type JobContext,
  JobHandler,
  NonRetryableError,
  RetryAfterError,
  secret,
  snooze,
} from '#jobs';
import { runJob } from './run-job.js';

const Greet = defineJob({
  name: 'greeting.send',
  queue: 'greeting',
  payload: z.object({ name: z.string().min(1), token: secret(z.string()).default('none'), at: z.iso.date() }),
  result: z.object({ greeting: z.string() }),
  retry: ['5s', '30s'],
  timeout: '50ms',
});
type Greeting = JobContext<typeof Greet>;

const payload = { name: 'Ada', at: '2026-01-02' };
/** The handler is what the test says. */
const handler = (handle: (job: Greeting) => unknown) => ({ handle }) as Handler<typeof Greet>;
const greet = handler(({ payload, progress }) => {
  progress(0.5, 'half-way');
  progress(1);
  return { greeting: `Hello ${payload.name}` };
});

test('gives the result and all that was told of the progress', async () => {
  expect(await runJob(Greet, greet, payload)).toEqual({
    id: expect.any(String),
    state: 'succeeded',
    result: { greeting: 'Hello Ada' },
    progress: [{ fraction: 0.5, note: 'half-way' }, { fraction: 1 }],
  });
});

test('the handler is given what a worker gives it', async () => {
  let given: Greeting | undefined;
  const previous = { id: 'b', name: 'greeting.write', result: { text: 'Hi' } };
  const spy = handler((job) => {
    given = job;
    return { greeting: '' };
  });
  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  await runJob(Greet, spy, payload, { id, attempt: 2, previous });
  expect(given).toMatchObject({ id, name: 'greeting.send', queue: 'greeting', attempt: 2, maxAttempts: 3 });
  expect(given?.payload).toEqual({ ...payload, token: 'none' });
  expect(given?.previous).toEqual(previous);
  expect(given?.signal.aborted).toBe(false);
  given?.log.info('goes nowhere');
});

test('a failure waits for the delay of its attempt, and the last one is a dead letter', async () => {
  const failing = handler(() => {
    throw new TypeError('no such name');
  });
  const error = { class: 'TypeError', message: 'no such name', stack: expect.any(String) };
  expect(await runJob(Greet, failing, payload)).toMatchObject({ state: 'retrying', runInMs: 5_000, error });
  expect(await runJob(Greet, failing, payload, { attempt: 2 })).toMatchObject({ runInMs: 30_000 });
  const last = await runJob(Greet, failing, payload, { attempt: 3 });
  expect(last).toMatchObject({ state: 'dead', error });
  expect(last.runInMs).toBeUndefined();
});

test('errors that choose what follows, and snoozes, do', async () => {
  const hopeless = handler(() => Promise.reject(new NonRetryableError('gone')));
  expect(await runJob(Greet, hopeless, payload)).toMatchObject({ state: 'dead', error: { message: 'gone' } });
  const asked = handler(() => Promise.reject(new RetryAfterError('90s')));
  expect(await runJob(Greet, asked, payload)).toMatchObject({ state: 'retrying', runInMs: 90_000 });
  const sleepy = await runJob(
    Greet,
    handler(() => snooze('5m')),
    payload,
  );
  expect(sleepy).toMatchObject({ state: 'scheduled', runInMs: 300_000 });
  expect(sleepy.error).toBeUndefined();
});

test('payload and result are checked against the contract', async () => {
  const badPayload = await runJob(Greet, greet, { ...payload, name: '' });
  expect(badPayload).toMatchObject({ state: 'dead', error: { class: 'ContractViolationError' } });
  expect(badPayload.error?.message).toContain('/payload/name');
  const badResult = await runJob(
    Greet,
    handler(() => ({ greeting: 5 })),
    payload,
  );
  expect(badResult).toMatchObject({ state: 'dead', error: { class: 'ContractViolationError' } });
  expect(badResult.error?.message).toContain('/result/greeting');
});

test('an attempt has the time of its contract', async () => {
  const slow = handler(({ signal }) => pause(10_000, undefined, { signal }));
  expect(await runJob(Greet, slow, payload)).toMatchObject({
    state: 'retrying',
    error: { class: 'JobTimeoutError' },
  });
});

test('a job can be cancelled while it runs, or before', async () => {
  const cancelling = new AbortController();
  const obeying = handler(async ({ signal }) => {
    cancelling.abort();
    signal.throwIfAborted();
  });
  expect(await runJob(Greet, obeying, payload, { cancel: cancelling.signal })).toMatchObject({
    state: 'cancelled',
    error: { class: 'CancelledError' },
  });
  expect(await runJob(Greet, obeying, payload, { cancel: AbortSignal.abort() })).toMatchObject({
    state: 'cancelled',
  });
});

test('an error that quotes a secret is kept without it', async () => {
  const telling = handler(({ payload }) => {
    throw new Error(`wrong token ${payload.token}`);
  });
  const { error } = await runJob(Greet, telling, { ...payload, token: 'a very secret token' });
  expect(error?.message).toBe('wrong token [redacted]');
});

test('a handler that takes many jobs in one call is given one, and what it returns for that counts', async () => {
  @JobHandler(Greet, { batch: { size: 100, within: '1h' } })
  class GreetAll implements BatchHandler<typeof Greet> {
    handle(jobs: readonly Greeting[]) {
      return new Map(
        jobs.flatMap(({ id, payload: { name } }) => {
          if (name === 'nobody') return [];
          return [[id, name === 'eve' ? new NonRetryableError('not her') : { greeting: `Hello ${name}` }]];
        }),
      );
    }
  }
  const run = (name: string) => runJob(Greet, new GreetAll(), { ...payload, name });
  expect(await run('Ada')).toMatchObject({ state: 'succeeded', result: { greeting: 'Hello Ada' } });
  expect(await run('eve')).toMatchObject({ state: 'dead', error: { message: 'not her' } });
  expect(await run('nobody')).toMatchObject({ state: 'retrying', error: { class: 'Error' } });
});
