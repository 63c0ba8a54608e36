import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { IsolationOptions } from '#isolation';
import type { AnyContract, PayloadInput } from '#jobs';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import type { AppOptions } from '#testing/services';
import { Ask, Deaf, End, EndLater, Fill, Nested, Plain, Spin, Wait, Where } from './handlers.js';
import { isolatingWorker } from './isolating-worker.js';

/** One at a time, so that a job runs only when the slot of the one before is free. */
const WORKER_PREFETCH = {
  fallback: 20,
  queues: new Map([
    ['isolated', 1],
    ['deaf', 1],
  ]),
};
const { logged, producer, start, stop, enqueue, view } = isolatingWorker();

const given = (
  isolation: Partial<IsolationOptions> = {},
  { settings, ...options }: Partial<AppOptions> = {},
) => start(isolation, { settings: { WORKER_PREFETCH, ...settings }, ...options });
/** The job, once it has ended. */
const ended = (id: string) =>
  eventually(async () => {
    const job = await view(id);
    return job.finishedAt ? job : undefined;
  }, 30_000);
const run = async <C extends AnyContract>(contract: C, payload: PayloadInput<C>) =>
  ended(await enqueue(contract, payload));
/** Runs a job that tells its thread. From then on a thread stands ready. */
const where = async () => (await run(Where, { day: '2026-01-02' })).result as { threadId: number };
/** A line of the log, once it is there. */
const line = (message: string, job?: string) =>
  eventually(() => logged.find((one) => one.msg === message && (!job || one.job === job)));
/** Processor time that this process uses, as a share of one core. */
async function load() {
  const before = process.cpuUsage();
  await pause(300);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 300_000;
}
const isIdle = () => eventually(async () => (await load()) < 0.5);

describe('With one worker', () => {
  beforeAll(() => given());
  afterAll(stop);
  beforeEach(where);

  test('an isolated handler enqueues a job and has its result; what it enqueued is not lost with its thread', async () => {
    const { state, result } = await run(Ask, { how: 'wait' });
    const answer = { isMainThread: true };
    expect([state, result]).toEqual([
      'succeeded',
      { asked: expect.any(String), answer, isMainThread: false },
    ]);
    const { asked } = result as { asked: string };
    expect(await ended(asked)).toMatchObject({ state: 'succeeded', name: Plain.name });

    expect((await run(Ask, { how: 'exit' })).error?.class).toBe('IsolatedCrashError');
    const plain = await producer().app.get(JobQueries).list({ name: Plain.name, limit: 10 });
    const other = plain.find(({ id }) => id !== asked);
    expect((await ended(other?.id ?? '')).state).toBe('succeeded');
  });

  test('P9: a job that computes past its time-out is killed for real, and its slot goes to the next, in a new thread', async () => {
    const before = await where();
    const [spinning, next] = [await enqueue(Spin, {}), await enqueue(Where, { day: '2026-01-02' })];
    await line('spinning', spinning);
    expect((await view(next)).state).toBe('queued');

    expect(await ended(spinning)).toMatchObject({ state: 'dead', error: { class: 'JobTimeoutError' } });
    expect(((await ended(next)).result as typeof before).threadId).toBeGreaterThan(before.threadId);
    await isIdle();
  });

  test('P9: the signal is heard in the thread, and a thread whose handler obeys it goes on', async () => {
    const job = await run(Wait, { obeys: true });
    expect(job).toMatchObject({ state: 'dead', error: { class: 'JobTimeoutError' } });
    const { threadId } = await line('heard JobTimeoutError', job.id);
    expect((await where()).threadId).toBe(threadId);
  });

  test('P9: the timeout and the retry of a single job hold in a thread, too', async () => {
    const job = await ended(await enqueue(Wait, { obeys: true }, { timeout: '200ms', retry: ['100ms'] }));
    expect(job).toMatchObject({ state: 'dead', attempt: 2, maxAttempts: 2 });
    expect(job.error?.message).toBe('The attempt took longer than its timeout of 200ms');
  });

  test('P9: a handler that takes no notice of its signal is killed with its thread', async () => {
    const job = await run(Wait, { obeys: false });
    expect(job).toMatchObject({ state: 'dead', error: { class: 'JobTimeoutError' } });
    const { threadId } = await line('heard JobTimeoutError', job.id);
    expect((await where()).threadId).not.toBe(threadId);
  });

  test('P9: a job that is not isolated and takes no notice has failed without it, and its slot is free', async () => {
    for (const id of [await enqueue(Deaf, {}), await enqueue(Deaf, {})]) {
      expect(await ended(id)).toMatchObject({ state: 'dead', error: { class: 'JobTimeoutError' } });
    }
  });

  test('P9: a job that computes blocks neither the event loop nor the other handlers', async () => {
    const spinning = await enqueue(Spin, {});
    await line('spinning', spinning);
    const lag = monitorEventLoopDelay({ resolution: 10 });
    lag.enable();
    const others = await Promise.all(Array.from({ length: 20 }, () => run(Plain, {})));
    expect(others.map(({ state }) => state)).toEqual(Array(20).fill('succeeded'));
    await ended(spinning);
    lag.disable();
    // A blocked loop would show as all of the 1.5 s that the job may take.
    expect(lag.max / 1e6).toBeLessThan(1_000);
  });

  test('a thread is used again; data, progress and log lines cross it', async () => {
    const first = await run(Where, { day: '2026-01-02' });
    expect(first).toMatchObject({
      state: 'succeeded',
      result: { isMainThread: false, attempt: 1, year: 2026, dated: true },
    });
    expect(await line('half way', first.id)).toMatchObject({
      level: 'warn',
      name: 'isolated.where',
      attempt: 1,
      child: true,
      err: { type: 'Error', message: 'on the way' },
    });
    expect(await where()).toEqual(first.result);
    expect((await run(Plain, {})).result).toEqual({ isMainThread: true });
  });

  test('what an attempt used in its thread is kept with it, however it ended', async () => {
    for (const [fails, outcome] of [
      [false, 'succeeded'],
      [true, 'failed'],
    ] as const) {
      const { attempts } = await run(Fill, { megabytes: 40, fails });
      const used = { cpuMs: expect.any(Number), heapBytes: expect.any(Number) };
      expect(attempts).toMatchObject([{ attempt: 1, outcome, worker: expect.any(String), used }]);
      expect(attempts[0]?.used?.cpuMs).toBeGreaterThan(0);
      expect(attempts[0]?.used?.heapBytes).toBeGreaterThan(40 * 1_048_576);
    }
    expect((await run(Plain, {})).attempts).toEqual([
      expect.not.objectContaining({ used: expect.anything() }),
    ]);
  });

  test('progress is told while the handler computes', async () => {
    const id = await enqueue(Spin, {});
    expect(await eventually(async () => (await view(id)).progress)).toBe(0.5);
    await ended(id);
  });

  test('guards, pipes, interceptors and request scope work in the thread', async () => {
    expect(await run(Nested, { text: 'ada' })).toMatchObject({
      state: 'succeeded',
      result: { text: 'ADA', shouted: 'ADA!', name: 'isolated.nested', isMainThread: false },
    });
    expect(await run(Nested, { text: 'too long' })).toMatchObject({
      state: 'dead',
      error: { message: 'Forbidden resource' },
    });
  });

  test.each([
    ['non-retryable', 'PaymentDeclined', /^insufficient funds$/],
    ['type-error', 'TypeError', /missing/],
    ['text', 'string', /^only text$/],
    ['function', 'ResultError', /\/result\/attempt is a function/],
    ['exit', 'IsolatedCrashError', /process\.exit\(7\)/],
    ['uncaught', 'IsolatedCrashError', /nobody caught this/],
    ['memory', 'IsolatedCrashError', /128 MB.*ISOLATED_MEMORY/],
  ])(
    'what ends a handler is told as it was (%s), and the worker goes on',
    async (how, errorClass, message) => {
      const { state, error } = await run(End, { how });
      expect(state).toBe('dead');
      expect(error).toMatchObject({ class: errorClass, message: expect.stringMatching(message) });
      if (how === 'non-retryable') expect(error?.stack).toContain('EndHandler');
      expect(await where()).toMatchObject({ isMainThread: false });
    },
  );

  test('a handler may snooze, and choose the delay of its next attempt', async () => {
    const snoozed = await enqueue(End, { how: 'snooze' });
    await eventually(async () => (await view(snoozed)).state === 'scheduled');
    const delayed = await enqueue(EndLater, {});
    const { runAt, error } = await eventually(async () => {
      const job = await view(delayed);
      return job.state === 'retrying' ? job : undefined;
    });
    expect(error).toMatchObject({ class: 'RetryAfterError', message: 'come back in a week' });
    expect(runAt.getTime()).toBeGreaterThan(Date.now() + 6 * 86_400_000);
  });

  test('a thread in which a job left something behind is not used again, and the log names the job', async () => {
    const { threadId } = await where();
    const job = await run(End, { how: 'left behind' });
    expect(job).toMatchObject({ state: 'succeeded', result: 'done' });
    const { leftovers } = await line('The job left handles open: its thread is not used again', job.id);
    expect(leftovers).toEqual([expect.stringMatching(/^Timeout .*EndHandler\.handle .*handlers\.js/)]);
    expect((await where()).threadId).not.toBe(threadId);
  });

  test('what an earlier job left behind unseen fails nobody else; the log names it, and the thread is not used again', async () => {
    const left = await enqueue(End, { how: 'left unseen' });
    const present = await run(End, { how: 'outlast' });
    expect(present).toMatchObject({ state: 'succeeded', result: expect.any(Number) });
    const { err } = await line('An error of an ended job in its thread: the thread is not used again', left);
    expect(err).toMatchObject({ type: 'Error', message: 'left unseen' });
    expect((await where()).threadId).not.toBe(present.result);
  });
});

describe('With a worker of its own', () => {
  afterEach(stop);

  test('a thread that has nothing to do closes its Nest context and ends; the next job gets a new one', async () => {
    await given({ idleMs: 50 });
    const { threadId } = await where();
    await line(`thread ${threadId} closed`);
    expect((await where()).threadId).not.toBe(threadId);
  });

  test('P8: a thread closes its Nest context when the worker stops', async () => {
    await given();
    const { threadId } = await where();
    await stop();
    await line(`thread ${threadId} closed`);
  });

  test('P8: a thread whose job does not end in the grace time is killed, and the job released', async () => {
    await given({}, { settings: { SHUTDOWN_GRACE: 0 } });
    await where();
    const id = await enqueue(Spin, {});
    await line('spinning', id);
    await stop();
    expect(await view(id)).toMatchObject({ state: 'queued', attempt: 0 });
    await isIdle();
  });

  test('an isolated handler takes an IsolationModule: without one the worker does not start, and says so', async () => {
    await expect(given({}, { imports: [] })).rejects.toThrow(
      "SpinHandler is isolated, which takes an IsolationModule: add it to the worker's parts, or drop the option",
    );
  });
});
