import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from '#jobs';
import { JobQueries, JobStore, type JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
  type Producer,
} from '#testing/services';

/** As in `wayward-worker.js`: what a job does is called by its name there. */
const once = { payload: z.object({ way: z.string() }), retry: [] };
const Wayward = defineJob({ ...once, name: 'wayward.do', queue: 'wayward' });
/** The same, of a handler that takes many in one call. */
const Together = defineJob({ ...once, name: 'wayward.together', queue: 'together' });
const STARTS = 8;
/** pino's number of it. */
const FATAL = 60;
const ERROR = 50;
/** Ways in which a job ends its worker, and what is told of it. */
const WAYS = {
  rejections: 'A rejection that nobody caught',
  timer: 'An error that nobody caught',
  emitter: 'An error of an emitter that nobody caught',
  stream: 'An error of a stream that nobody caught',
  exit: 'process.exit(0)',
  caughtExit: 'process.exit(0)',
  signal: 'SIGTERM',
};

let environment: Environment;
let producer: Producer;
let workers: AppProcess[] = [];

beforeAll(async () => {
  environment = await givenEnvironment([Wayward, Together]);
  producer = await givenProducer(environment, { contracts: [Wayward, Together] });
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop('SIGKILL')));
  workers = [];
});

async function startWorker(): Promise<AppProcess> {
  const worker = await givenProcess('test/support/wayward-worker.js', environment);
  workers.push(worker);
  await Promise.race([eventually(() => worker.output().includes('ready'), 30_000), worker.ended]);
  return worker;
}
const enqueue = async (way: string) => (await producer.jobs.enqueue(Wayward, { way })).id;
const cancel = (id: string) => producer.app.get(JobStore).cancel([id]);
const view = async (id: string) => (await producer.app.get(JobQueries).find(id)) as JobView;
const startsOf = (id: string) =>
  workers.reduce((sum, worker) => sum + worker.output().split(`started ${id}`).length - 1, 0);
const linesOf = (worker: AppProcess, text: string) =>
  worker
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes(text))
    .map((line) => JSON.parse(line));
/** Starts a worker after the other, as a supervisor does, until this job has ended. @returns how they ended. */
async function superviseUntilEnded(id: string) {
  const endings: unknown[] = [];
  for (let starts = 0; starts < STARTS; starts++) {
    const worker = await startWorker();
    const ended = eventually(async () => (await view(id)).finishedAt !== null, 60_000).then(() => 'goes on');
    const ending = await Promise.race([worker.ended, ended]);
    if (ending === 'goes on') return endings;
    endings.push(ending);
  }
  throw new Error(`The job did not end in ${STARTS} workers: ${JSON.stringify(await view(id))}`);
}

test('P7, P3: a job whose stray promise rejects is dead after three workers, and its neighbour runs once', async () => {
  const [id, neighbour] = [await enqueue('rejection'), await enqueue('healthy')];
  expect(await superviseUntilEnded(id)).toEqual([1, 1, 1]);

  const { state, error, attempts } = await view(id);
  expect([state, error?.class]).toEqual(['dead', 'CrashedError']);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['crashed', 'crashed', 'crashed', 'failed']);
  expect(startsOf(id)).toBe(3);
  const [line] = linesOf(workers[0] as AppProcess, 'the process ends');
  expect(line).toMatchObject({ level: FATAL, job: id, name: Wayward.name, attempt: 1 });
  expect(await view(neighbour)).toMatchObject({ state: 'succeeded', attempts: [{ outcome: 'succeeded' }] });
  expect(startsOf(neighbour)).toBe(1);
});

test('P7: of many jobs in one call, the one that ends their worker is found when each runs alone, and the others succeed', async () => {
  const payloads = ['healthy', 'rejection', 'healthy'].map((way) => ({ way }));
  const [first, culprit, second] = await producer.jobs.enqueueMany(Together, payloads);
  expect(await superviseUntilEnded(culprit!.id)).toEqual([1, 1, 1]);
  const { state, error, attempts } = await view(culprit!.id);
  expect([state, error?.class]).toEqual(['dead', 'CrashedError']);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['crashed', 'crashed', 'crashed', 'failed']);
  for (const { id } of [first!, second!])
    expect(await eventually(async () => (await view(id)).finishedAt && view(id))).toMatchObject({
      state: 'succeeded',
    });
}, 60_000);

test('P7: in whatever way jobs end their worker, each is lost by what it did itself, and its neighbour succeeds', async () => {
  const culprits = new Map<string, string>();
  for (const [way, thrown] of Object.entries(WAYS)) culprits.set(await enqueue(way), thrown);
  const neighbour = await enqueue('healthy');
  const worker = await startWorker();
  expect(await worker.ended).toBe(1);

  expect(await view(neighbour)).toMatchObject({ state: 'succeeded', attempts: [{ outcome: 'succeeded' }] });
  for (const [id, thrown] of culprits) {
    expect(await view(id)).toMatchObject({
      ...{ state: 'queued', attempt: 0 },
      attempts: [{ outcome: 'crashed', error: { message: expect.stringContaining(thrown) } }],
    });
    expect(linesOf(worker, 'uncaught error of this job')).toContainEqual(
      expect.objectContaining({ job: id, err: expect.objectContaining({ stack: expect.any(String) }) }),
    );
    await cancel(id);
  }
});

test('P7: however many errors come, the end is one, and nobody beside their job is to blame', async () => {
  const [id, neighbour] = [await enqueue('rejections'), await enqueue('endless')];
  const worker = await startWorker();
  expect(await worker.ended).toBe(1);
  expect(linesOf(worker, 'uncaught error of this job').map(({ level }) => level)).toEqual([
    FATAL,
    ERROR,
    ERROR,
  ]);
  expect(await view(id)).toMatchObject({ state: 'queued', attempts: [{ outcome: 'crashed' }] });
  // Its grace time was over: handed back, and no loss.
  expect(await view(neighbour)).toMatchObject({ state: 'queued', attempt: 0, attempts: [] });
  await cancel(id);
  await cancel(neighbour);
});

test('P7: what a job left behind blames no job, and is told to be of one that has ended', async () => {
  const [id, neighbour] = [await enqueue('leftover'), await enqueue('endless')];
  const worker = await startWorker();
  expect(await worker.ended).toBe(1);
  expect(linesOf(worker, 'this job, which has ended; the process ends')).toMatchObject([{ job: id }]);
  expect(await view(id)).toMatchObject({ state: 'succeeded', attempts: [{ outcome: 'succeeded' }] });
  expect(await view(neighbour)).toMatchObject({ state: 'queued', attempt: 0, attempts: [] });
  await cancel(neighbour);
});

test('P7: an error of no job that is known is a loss for those that do not end in time, and for no other', async () => {
  const [id, quick] = [await enqueue('endless'), await enqueue('healthy')];
  const worker = await startWorker();
  await eventually(() => startsOf(id) + startsOf(quick) === 2);
  worker.child.kill('SIGUSR2');
  expect(await worker.ended).toBe(1);
  expect(await view(quick)).toMatchObject({ state: 'succeeded' });
  expect(await view(id)).toMatchObject({
    state: 'queued',
    attempts: [{ outcome: 'crashed', error: { message: expect.stringContaining('An error of the worker') } }],
  });
  await cancel(id);
});

test('a signal takes any number of listeners, and warnings are lines of the log', async () => {
  const id = await enqueue('listeners');
  const worker = await startWorker();
  await eventually(async () => (await view(id)).state === 'succeeded');
  await eventually(() => linesOf(worker, 'A warning of a library').length === 1);
  expect(worker.output()).not.toContain('MaxListenersExceededWarning');
  const raw = worker
    .output()
    .split('\n')
    .filter((line) => !/^(\{|started |ready|$)/.test(line));
  expect(raw).toEqual([]);
});
