import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { Settings } from '#config';
import type { IsolationOptions } from '#isolation';
import { type AnyContract, defineJob, nextJob } from '#jobs';
import { JobLogStore, JobStore, type JobView } from '#records';
import { eventually } from '#testing';
import { Chatter, Quick, Spin, Where } from './handlers.js';
import { isolatingWorker } from './isolating-worker.js';
import { OddIsolated, OddPlain, oddities } from './odd-handlers.js';

const { logged, entry, producer, start, stop, enqueue, view } = isolatingWorker();
afterEach(() => stop());

const given = (isolation: Partial<IsolationOptions> = {}, settings: Partial<Settings> = {}) =>
  start(isolation, { settings: { ISOLATED_THREADS: 2, ...settings } });
const settled = (id: string) =>
  eventually(async () => {
    const job = await view(id);
    return job.finishedAt || ['retrying', 'scheduled'].includes(job.state) ? job : undefined;
  }, 60_000);

describe('P3: nothing that a handler hands over ends or hurts a worker, and isolated or not it comes to the same', () => {
  test('progress, log lines, results, errors and delays', async () => {
    await given();
    const hows = Object.keys(oddities);
    const jobs = await Promise.all(
      hows.map(async (how) => {
        const ids = [await enqueue(OddPlain, { how }), await enqueue(OddIsolated, { how })];
        return [how, ...(await Promise.all(ids.map(settled)))] as [string, JobView, JobView];
      }),
    );
    const outcomes: Record<string, JobView> = {};
    const recordOf = ({ state, result, progress, progressNote, error }: JobView) => {
      const { stack: _, ...described } = error ?? { stack: null };
      return { state, result, progress, progressNote, error: error && described };
    };
    for (const [how, plain, isolated] of jobs) {
      expect([how, recordOf(isolated)]).toEqual([how, recordOf(plain)]);
      outcomes[how] = isolated;
    }
    const told = (how: string) => outcomes[how];
    expect(outcomes['throws an aggregate']?.error?.causes).toEqual([
      { class: 'TypeError', message: 'one' },
      { class: 'Error', message: 'two', code: 'E2' },
    ]);
    for (const how of ['odd progress', 'odd log lines', 'posts'])
      expect([how, told(how)?.state]).toEqual([how, 'succeeded']);
    expect(told('throws what cannot be read')).toMatchObject({
      state: 'dead',
      error: { class: 'NonRetryableError' },
    });
    expect(told('snoozes for nonsense')).toMatchObject({ state: 'retrying', error: { class: 'RangeError' } });
    expect(told('retries after nonsense')?.error?.message).toContain('"5 parsecs" is not a valid duration');
    expect(told('returns a map')).toMatchObject({ state: 'dead', error: { class: 'ResultError' } });
    expect(told('throws its secret')?.error?.message).toBe('wrong: [redacted]');
    expect(told('returns classes')?.result).toMatchObject({
      price: '1.20',
      url: 'https://example.com/a?b=c',
      buffer: { type: 'Buffer', data: [97, 98] },
      euros: 3.5,
    });
    expect(JSON.stringify(logged)).toContain('progress() takes a number from 0 to 1');
  });

  test('a chain hands on the same', async () => {
    await given();
    const next = (contract: AnyContract) =>
      producer().jobs.enqueue(
        OddPlain,
        { how: 'returns classes' },
        { next: nextJob(contract, { how: 'returns classes' }) },
      );
    const results = await Promise.all(
      [await next(OddPlain), await next(OddIsolated)].map(async ({ next }) => {
        const { previous } = (await settled(next as string)).result as { previous: { result: unknown } };
        return previous.result;
      }),
    );
    expect(results[0]).toMatchObject({ price: '1.20', euros: 3.5 });
    expect(results[1]).toEqual(results[0]);
  });

  test('P16: it gets the payload of an older version upgraded, under its former name, too', async () => {
    await given();
    const queue = 'isolated';
    const Place = defineJob({ name: 'isolated.place', queue, payload: z.object({ at: z.iso.date() }) });
    const [before, now] = [
      await enqueue(Place, { at: '2026-01-02' }),
      await enqueue(Where, { day: '2027-01-02' }),
    ];
    expect(await settled(before)).toMatchObject({ result: { year: 2026, isMainThread: false }, version: 1 });
    expect(await settled(now)).toMatchObject({ result: { year: 2027 }, version: 2 });
    const newer = await enqueue({ ...Where, version: 3 }, { day: '2028-01-02' });
    const detail = 'a worker that knows isolated.where version 3';
    await eventually(async () => (await view(newer)).waitingFor?.detail === detail);
    await producer().app.get(JobStore).cancel([newer]);
  });
});

describe('What isolated handlers log', () => {
  const logOf = (id: string, lines: number) =>
    eventually(async () => {
      const found = await producer().app.get(JobLogStore).of(id);
      return found.length >= lines ? found : undefined;
    });

  test('is kept with the job, without its secrets, within the same limits', async () => {
    await given();
    const lines = await logOf(await enqueue(Chatter, { lines: 300, card: 'card-1234' }), 62);
    expect(lines[0]).toMatchObject({ attempt: 1, level: 'info', fields: { line: 1 } });
    expect(lines[0]?.message).toMatch(/^\[redacted\] xxx/);
    expect(lines.at(-1)).toMatchObject({ level: 'warn', message: expect.stringMatching(/here: 2\d\d\./) });
    const where = await logOf(await enqueue(Where, { day: '2027-01-02' }), 1);
    expect(where).toMatchObject([
      { level: 'warn', message: 'half way', fields: { child: true, err: { type: 'Error' } } },
    ]);
  });

  test('P15: a loop that logs waits until its worker reads on, so lines never pile up, and none is lost', async () => {
    await given();
    logged.splice(0);
    const id = await enqueue(Chatter, { lines: 20_000, card: 'card-1234' });
    const lines = () => logged.filter(({ job, line }) => job === id && line);
    await eventually(() => lines().length > 0);
    // This is the thread that the worker runs on.
    const [from, to] = [Date.now() + 100, Date.now() + 600];
    while (Date.now() < to);
    expect(await settled(id)).toMatchObject({ state: 'succeeded' });
    expect(lines().length).toBe(20_000);
    const meanwhile = lines().filter(({ at }) => Number(at) >= from && Number(at) < to);
    expect(meanwhile.length).toBeLessThan(100);
  });
});

describe('Jobs that wait for a thread', () => {
  test('a burst of isolated jobs, cold, all succeed: the start of a thread is not the time of a job', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => enqueue(Quick, {})));
    await given();
    const jobs = await Promise.all(ids.map(settled));
    expect(jobs.map(({ state }) => state)).toEqual(Array(20).fill('succeeded'));
  });

  test('P8: one that waits has not started: it is queued, and a worker that stops uses up nothing of it', async () => {
    await given({}, { ISOLATED_THREADS: 1, SHUTDOWN_GRACE: 0 });
    const spinning = await enqueue(Spin, {});
    await eventually(async () => (await view(spinning)).state === 'running');
    // Their queue is not for isolated ones alone: they are delivered, and wait in the worker.
    const waiting = await enqueue(OddIsolated, { how: 'posts' });
    expect(await settled(await enqueue(OddPlain, { how: 'posts' }))).toMatchObject({ state: 'succeeded' });
    expect(await view(waiting)).toMatchObject({ state: 'queued', attempt: 0, startedAt: null });
    await stop();
    expect(await view(waiting)).toMatchObject({ state: 'queued', attempt: 0, startedAt: null });
    await given();
    expect(await settled(waiting)).toMatchObject({ state: 'succeeded', attempt: 1 });
  });

  test('P10: one that is cancelled while it waits never starts', async () => {
    await given({}, { ISOLATED_THREADS: 1 });
    const spinning = await enqueue(Spin, {});
    await eventually(async () => (await view(spinning)).state === 'running');
    const waiting = await enqueue(OddIsolated, { how: 'posts' });
    expect(await settled(await enqueue(OddPlain, { how: 'posts' }))).toMatchObject({ state: 'succeeded' });
    await producer().app.get(JobStore).cancel([waiting]);
    expect(await settled(spinning)).toMatchObject({ state: 'dead' });
    expect(await settled(await enqueue(OddIsolated, { how: 'posts' }))).toMatchObject({ state: 'succeeded' });
    expect(await view(waiting)).toMatchObject({ state: 'cancelled', attempt: 0, startedAt: null });
  });

  test('when threads do not start any more, jobs wait until they do, and use up nothing', async () => {
    const later = new URL('later.js', pathToFileURL(entry()));
    const good = await readFile(entry(), 'utf8');
    await writeFile(later, good);
    await given({ entry: later, idleMs: 10 });
    await writeFile(later, `throw new Error('the disk is full');`);
    const waiting = await enqueue(Quick, {});
    const told = () => logged.find(({ msg }) => String(msg).includes('does not start; retrying'));
    expect(await eventually(told)).toMatchObject({ err: { message: 'the disk is full' } });
    expect(await view(waiting)).toMatchObject({ state: 'queued', attempt: 0, startedAt: null });
    await writeFile(later, good);
    expect(await settled(waiting)).toMatchObject({ state: 'succeeded', attempt: 1 });
  });
});

describe('A worker whose isolated handlers cannot run does not start, and says why', () => {
  const of = (module: string) => new URL(`${module}.js`, pathToFileURL(entry()));
  beforeAll(() =>
    Promise.all(
      ['WithoutProvider', 'WithoutHandlers', 'FailsAtInit'].map((module) =>
        writeFile(
          of(module),
          `import { serveIsolated } from '#isolation';
           import { ${module} } from './broken-modules.js';
           await serveIsolated(${module});`,
        ),
      ),
    ),
  );
  test.each<[string, () => URL, RegExp]>([
    [
      'a provider is missing',
      () => of('WithoutProvider'),
      /NestedHandler.*OnlyShort|NestedHandler.*Request/s,
    ],
    ['handlers are missing', () => of('WithoutHandlers'), /isolated\.spin.*not among the controllers/],
    ['the module does not start', () => of('FailsAtInit'), /the disk is not there/],
    ['the entry does not exist', () => new URL('nowhere.js', pathToFileURL(entry())), /nowhere\.js/],
    [
      'the entry serves nothing',
      () => pathToFileURL(entry().replace('thread.js', 'odd-handlers.js')),
      /serveIsolated/,
    ],
  ])('%s', async (_, url, message) => {
    await expect(given({ entry: url() })).rejects.toThrow(message);
  });

  test('one that serves none of their queues starts without a thread', async () => {
    await given({ entry: of('WithoutProvider') }, { WORKER_QUEUES: ['plain'] });
  });
});
