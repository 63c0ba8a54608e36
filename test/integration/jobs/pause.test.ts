import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { givenReceiver, type Receiver, receiverSettings } from '../../support/receiver.js';

let environment: Environment;
let receiver: Receiver;
const processes: AppProcess[] = [];

beforeEach(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  receiver = await givenReceiver();
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await receiver?.close();
  await environment?.close();
});

async function given(app: 'api' | 'worker', settings: Record<string, string> = {}) {
  const process = await givenProcess(app, environment, { ...receiverSettings, ...settings });
  processes.push(process);
  return process.ready();
}
async function call(api: AppProcess, method: string, path: string, body?: unknown) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  // biome-ignore lint/suspicious/noExplicitAny: whatever the api answers
  return { status: response.status, body: (await response.json()) as any };
}
const enqueue = async (api: AppProcess, name: string, payload: unknown) =>
  (await call(api, 'POST', '/jobs', { name, payload })).body.id as string;
const deliver = (api: AppProcess) =>
  enqueue(api, 'sample.call', { url: receiver.url, type: 'test', data: null });
const stateOf = async (id: string) =>
  (await environment.sql<{ state: string }>('select state from jobs where id = $1', [id]))[0]?.state;
const queue = async (api: AppProcess, name: string) =>
  (await call(api, 'GET', '/queues')).body.items.find((item: { queue: string }) => item.queue === name);

test('a paused queue rests in all workers, also in those that start later, until it is resumed', async () => {
  const api = await given('api');
  const first = await given('worker');
  const second = await given('worker');
  const running = await deliver(api);
  await eventually(() => receiver.waiting.length === 1);
  expect(await queue(api, 'sample-call')).toMatchObject({ running: 1, consumers: 2, paused: false });

  const paused = await call(api, 'POST', '/queues/sample-call/pause');
  expect(paused).toMatchObject({ status: 200, body: { queue: 'sample-call', paused: true } });
  await eventually(() =>
    [first, second].every((worker) => worker.output().includes('Paused queues: sample-call')),
  );
  // The broker goes on counting the consumer whose message is not acknowledged yet.
  await eventually(async () => (await queue(api, 'sample-call')).consumers === 1);
  const waiting = await Promise.all([deliver(api), deliver(api)]);
  // What runs goes on to its end, and other queues are served.
  receiver.open();
  await eventually(async () => (await stateOf(running)) === 'succeeded');
  const other = await enqueue(api, 'sample.flaky', { failures: 0 });
  await eventually(async () => (await stateOf(other)) === 'succeeded');

  expect(await first.stop('SIGTERM')).toBe(0);
  // Ready, though it does not consume the paused queue.
  await given('worker');
  const another = await enqueue(api, 'sample.flaky', { failures: 0 });
  await eventually(async () => (await stateOf(another)) === 'succeeded');
  expect(await Promise.all(waiting.map(stateOf))).toEqual(['queued', 'queued']);
  await eventually(async () => {
    expect(await queue(api, 'sample-call')).toMatchObject({
      ready: 2,
      queued: 2,
      running: 0,
      consumers: 0,
      oldestWaiting: expect.any(String),
      paused: true,
    });
    return true;
  });

  const resumed = await call(api, 'POST', '/queues/sample-call/resume');
  expect(resumed).toMatchObject({ status: 200, body: { queue: 'sample-call', paused: false } });
  await eventually(async () =>
    (await Promise.all(waiting.map(stateOf))).every((state) => state === 'succeeded'),
  );
  expect(receiver.received).toHaveLength(3);
});

test('pausing and resuming again and again, while jobs come, loses and doubles none', async () => {
  const [api] = await Promise.all([given('api'), given('worker', { WORKER_PREFETCH: '3' })]);
  receiver.open();
  const jobs: string[] = [];
  for (let round = 0; round < 4; round++) {
    await call(api, 'POST', `/queues/sample-call/${round % 2 === 0 ? 'pause' : 'resume'}`);
    jobs.push(...(await Promise.all(Array.from({ length: 10 }, () => deliver(api)))));
    await eventually(async () => (await queue(api, 'sample-call')).consumers === round % 2);
  }
  await eventually(async () =>
    (await Promise.all(jobs.map(stateOf))).every((state) => state === 'succeeded'),
  );
  expect(receiver.received.toSorted()).toEqual(jobs.toSorted());
});

test('a queue that nobody knows cannot be paused', async () => {
  const api = await given('api');
  expect(await call(api, 'POST', '/queues/nobody/pause')).toMatchObject({
    status: 404,
    body: { type: 'urn:warren:problem:unknown-queue' },
  });
});

test('P8, P21: a quiet worker takes no more jobs and lives on; one that is stopped ends as at SIGTERM', async () => {
  const api = await given('api');
  const first = await given('worker');
  const workers = async () => (await call(api, 'GET', '/workers')).body.items;
  const ask = (which: unknown, action: string) => call(api, 'POST', `/workers/${which}/${action}`);
  const running = await deliver(api);
  await eventually(() => receiver.waiting.length === 1);

  const [{ id, name }] = await workers();
  expect(await ask(name, 'quiet')).toMatchObject({
    status: 200,
    body: { id, name, state: 'quiet', running: 1 },
  });
  await eventually(async () => (await workers())[0].queues.length === 0);
  const waiting = await deliver(api);
  expect((await call(api, 'GET', `/jobs/${waiting}`)).body.waitingFor).toEqual({
    what: 'worker',
    detail: 'no worker that is alive serves queue "sample-call"',
  });
  expect((await fetch(`${first.url}/health/ready`)).status).toBe(200);

  const second = await given('worker');
  await eventually(() => receiver.waiting.length === 2);
  const { id: other } = (await workers()).at(-1);
  expect(await ask(other, 'stop')).toMatchObject({ status: 200, body: { state: 'stopping', running: 1 } });
  await eventually(() => second.output().includes('"inFlight":1'));
  expect(await ask(other, 'unquiet')).toMatchObject({
    status: 409,
    body: { type: 'urn:warren:problem:worker-stopping' },
  });
  await eventually(async () => (await workers()).at(-1).queues.length === 0);
  const last = await deliver(api);
  expect(await stateOf(last)).toBe('queued');

  expect((await ask(id, 'unquiet')).body).toMatchObject({ state: 'working' });
  await eventually(() => receiver.waiting.length === 3);
  receiver.open();
  expect(await second.ended).toBe(0);
  await eventually(async () =>
    (await Promise.all([running, waiting, last].map(stateOf))).every((state) => state === 'succeeded'),
  );
  expect(receiver.received.toSorted()).toEqual([running, waiting, last].toSorted());
  expect(await workers()).toMatchObject([
    { id, state: 'working', queues: expect.arrayContaining(['sample-call']) },
  ]);
  for (const gone of [other, 'nobody', '99999999999999999999'])
    expect(await ask(gone, 'quiet')).toMatchObject({
      status: 404,
      body: { type: 'urn:warren:problem:unknown-worker' },
    });
  expect(
    await environment.sql(
      `select action, subject, count from audit where action like 'worker.%' order by id limit 4`,
    ),
  ).toEqual([
    { action: 'worker.quiet', subject: name, count: 1 },
    { action: 'worker.stop', subject: String(other), count: 1 },
    { action: 'worker.unquiet', subject: String(other), count: 0 },
    { action: 'worker.unquiet', subject: String(id), count: 1 },
  ]);
});

test('a worker that serves some queues leaves the others alone', async () => {
  const [api] = await Promise.all([
    given('api'),
    given('worker', { WORKER_QUEUES: 'sample-flaky,sample-picture' }),
  ]);
  const calling = await deliver(api);
  const flaky = await enqueue(api, 'sample.flaky', { failures: 0 });
  await eventually(async () => (await stateOf(flaky)) === 'succeeded');
  expect(await stateOf(calling)).toBe('queued');
  const { items } = (await call(api, 'GET', '/queues')).body as {
    items: { queue: string; consumers: number }[];
  };
  expect(items.filter(({ consumers }) => consumers > 0).map(({ queue }) => queue)).toEqual([
    'sample-flaky',
    'sample-picture',
  ]);

  await given('worker', { WORKER_QUEUES: 'sample-call' });
  receiver.open();
  await eventually(async () => (await stateOf(calling)) === 'succeeded');
});
