import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  builtApps,
  type Environment,
  givenEnvironment,
  givenProcess,
} from '#testing/services';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';
import { givenReceiver, type Receiver, receiverSettings } from '../../support/receiver.js';

const run = promisify(execFile);
let environment: Environment;
let receiver: Receiver;
const processes: AppProcess[] = [];
const proxies: TcpProxy[] = [];

beforeEach(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  receiver = await givenReceiver();
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  await receiver?.close();
  await environment?.close();
});

async function given(app: 'api' | 'worker', settings: Record<string, string> = {}, on = environment) {
  const process = await givenProcess(app, on, { ...receiverSettings, SHUTDOWN_GRACE: '5s', ...settings });
  processes.push(process);
  return process.ready();
}
async function givenCuttable(url: string): Promise<TcpProxy> {
  const proxy = await givenProxy(url);
  proxies.push(proxy);
  return proxy;
}
async function post(api: AppProcess, path: string, body?: unknown): Promise<JobView> {
  const response = await fetch(`${api.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBeLessThan(300);
  return (await response.json()) as JobView;
}
const deliver = (api: AppProcess) =>
  post(api, '/jobs', { name: 'sample.call', payload: { url: receiver.url, type: 'test', data: null } });
const mail = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    name: 'sample.mail',
    payload: { to: 'ada@example.com', subject: 'Hello', text: 'World' },
  }),
};
const jobs = () =>
  environment.sql<{
    id: string;
    state: string;
    attempt: number;
    crashes: number;
    attempts: { outcome: string }[];
  }>('select * from jobs order by id');
const until = (state: string, count: number) =>
  eventually(async () => (await jobs()).filter((job) => job.state === state).length === count, 20_000);

test('P8: on SIGTERM a worker finishes what is in flight, takes nothing more, and exits 0', async () => {
  const [api, worker] = await Promise.all([given('api'), given('worker', { WORKER_PREFETCH: '2' })]);
  for (let n = 0; n < 5; n++) await deliver(api);
  await eventually(() => receiver.waiting.length === 2);

  const stopped = worker.stop('SIGTERM');
  await eventually(() => worker.output().includes('"inFlight":2'));
  receiver.open();
  expect(await stopped).toBe(0);
  expect((await jobs()).map(({ state, attempt }) => [state, attempt]).sort()).toEqual([
    ['queued', 0],
    ['queued', 0],
    ['queued', 0],
    ['succeeded', 1],
    ['succeeded', 1],
  ]);
  await given('worker');
  await until('succeeded', 5);
  expect(new Set(receiver.received).size).toBe(receiver.received.length);
});

test('P8: what does not end within the grace time is released with no attempt used up, and runs elsewhere', async () => {
  const [api, worker] = await Promise.all([given('api'), given('worker', { SHUTDOWN_GRACE: '300ms' })]);
  const job = await deliver(api);
  await eventually(() => receiver.waiting.length === 1);
  expect(await worker.stop('SIGTERM')).toBe(0);
  expect(await jobs()).toMatchObject([{ state: 'queued', attempt: 0, attempts: [] }]);

  receiver.open();
  await given('worker');
  await until('succeeded', 1);
  expect(await jobs()).toMatchObject([{ id: job.id, attempt: 1, crashes: 0 }]);
});

test('P1, P4: a job whose worker was killed runs again elsewhere within 10 s, and the lost attempt is shown', async () => {
  const [api, first, second] = await Promise.all([
    given('api'),
    given('worker'),
    given('worker', { WORKER_QUEUES: 'sample-mail' }),
  ]);
  const job = await deliver(api);
  await eventually(() => receiver.waiting.length === 1);
  await second.stop();
  const third = await given('worker');
  receiver.open();
  const killedAt = Date.now();
  await first.stop('SIGKILL');
  await eventually(async () => (await jobs())[0]?.state === 'succeeded', 10_000);
  expect(Date.now() - killedAt).toBeLessThan(10_000);
  expect(await jobs()).toMatchObject([
    { id: job.id, attempt: 1, crashes: 1, attempts: [{ outcome: 'crashed' }] },
  ]);
  expect(receiver.received).toEqual([job.id, job.id]);
  expect(third.child.exitCode).toBeNull();
});

test('P1: jobs accepted by an api that is killed at once all run, though it had no time to publish', async () => {
  const broker = await givenCuttable(environment.rabbitmqUrl);
  const api = await given('api', {}, { ...environment, rabbitmqUrl: broker.url });
  // The broker is out of the api's reach, so what it accepts stays in the outbox.
  broker.cut();
  const accepted = await Promise.all(Array.from({ length: 50 }, () => deliver(api)));
  expect(accepted.every(({ state }) => state === 'queued')).toBe(true);
  await api.stop('SIGKILL');

  receiver.open();
  await given('worker');
  await until('succeeded', 50);
  expect(receiver.received.sort()).toEqual(accepted.map(({ id }) => id).sort());
});

test('P3: a worker that is cut off from the broker but still runs a job is not joined by a second one', async () => {
  const broker = await givenCuttable(environment.rabbitmqUrl);
  const api = await given('api');
  const first = await given('worker', {}, { ...environment, rabbitmqUrl: broker.url });
  const job = await deliver(api);
  await eventually(() => receiver.waiting.length === 1);
  await given('worker');
  broker.cut();
  // Delivered to the second worker, the message is dropped there: its queue runs empty while the job still runs.
  await eventually(async () => (await environment.countReady('sample-call')) === 0);
  const other = await deliver(api);
  await eventually(() => receiver.waiting.length === 2);
  receiver.open();
  await until('succeeded', 2);
  expect(receiver.received).toEqual([job.id, other.id]);
  expect(await jobs()).toMatchObject([
    { id: job.id, attempt: 1, crashes: 0 },
    { id: other.id, attempt: 1, crashes: 0 },
  ]);
  expect(first.child.exitCode).toBeNull();
});

test('P1: a message delivered again, while its worker still waits for the database, is not lost with that worker', async () => {
  const [broker, database] = await Promise.all([
    givenCuttable(environment.rabbitmqUrl),
    givenCuttable(environment.databaseUrl),
  ]);
  const api = await given('api');
  const worker = await given(
    'worker',
    {},
    { ...environment, rabbitmqUrl: broker.url, databaseUrl: database.url },
  );
  const attached = () => worker.output().split('Consuming sample-call').length - 1;
  database.cut();
  receiver.open();
  await deliver(api);
  await eventually(() => worker.output().includes('Retrying until it succeeds'));
  // From now on the broker alone has the job: the outbox is empty.
  await eventually(
    async () => (await environment.sql('select from jobs where publish_at is null')).length === 1,
  );
  broker.cut();
  await eventually(async () => (await environment.countReady('sample-call')) === 1);
  broker.mend();
  await eventually(async () => attached() === 2 && (await environment.countReady('sample-call')) === 0);
  await worker.stop('SIGKILL');
  await given('worker');
  await until('succeeded', 1);
});

test('a worker waits for its broker and its database: live, not ready, and then it works', async () => {
  const [broker, database] = await Promise.all([
    givenCuttable(environment.rabbitmqUrl),
    givenCuttable(environment.databaseUrl),
  ]);
  broker.cut();
  database.cut();
  const worker = await givenProcess(
    'worker',
    { rabbitmqUrl: broker.url, databaseUrl: database.url },
    receiverSettings,
  );
  processes.push(worker);
  await eventually(async () => (await fetch(`${worker.url}/health/live`)).ok);
  expect((await fetch(`${worker.url}/health/ready`)).status).toBe(503);
  broker.mend();
  database.mend();
  await worker.ready();
  expect(await worker.stop()).toBe(0);
});

test('P16: apps that start before the migration wait for it, not ready, and say so; then they go on', async () => {
  const bare = await givenEnvironment();
  try {
    const [api, worker] = (await Promise.all(
      (['api', 'worker'] as const).map((app) => givenProcess(app, bare, receiverSettings)),
    )) as [AppProcess, AppProcess];
    processes.push(api, worker);
    const saysWhatIsMissing = async (app: AppProcess) => {
      const answer = await fetch(`${app.url}/health/ready`);
      const said = await answer.text();
      const isDown = (name: string) => said.includes(`"${name}":{"message":"waits for \`npm run migrate\`"`);
      return answer.status === 503 && isDown('database') && isDown('topology');
    };
    for (const app of [api, worker]) {
      await eventually(() => saysWhatIsMissing(app), 60_000);
      await eventually(() => /lacks the migrations 0001-jobs.*npm run migrate/.test(app.output()));
      await eventually(() => /queue sample-mail is missing[\s\S]*npm run migrate/.test(app.output()));
    }
    const refused = await fetch(`${api.url}/jobs`, mail);
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true]);

    const { rabbitmqUrl: RABBITMQ_URL, databaseUrl: DATABASE_URL } = bare;
    const env = { PATH: process.env.PATH, RABBITMQ_URL, DATABASE_URL };
    await run(process.execPath, ['dist/scripts/migrate.js'], { cwd: builtApps, env });
    await Promise.all([api.ready(), worker.ready()]);
    expect((await fetch(`${api.url}/jobs`, mail)).status).toBe(202);
    await eventually(
      async () => (await bare.sql('select state from jobs'))[0]?.state === 'succeeded',
      20_000,
    );
  } finally {
    await Promise.all(processes.splice(0).map((app) => app.stop('SIGKILL')));
    await bare.close();
  }
});

test('P16: apps whose database and broker newer code has migrated go on, and start', async () => {
  const [api, worker] = await Promise.all([given('api'), given('worker')]);
  await environment.sql(`insert into kysely_migration values ('9999-newer', '2027-01-31T09:00:00.000Z')`);
  await environment.sql(`alter table jobs add newer text not null default ''`);
  await environment.management('PUT', '/queues/{vhost}/newer', {
    durable: true,
    arguments: { 'x-queue-type': 'quorum' },
  });
  await environment.management('POST', '/bindings/{vhost}/e/jobs/q/newer', { routing_key: 'newer.job' });
  receiver.open();
  await deliver(api);
  await until('succeeded', 1);
  await Promise.all([api.stop(), worker.stop()]);
  const [again] = await Promise.all([given('api'), given('worker')]);
  await deliver(again);
  await until('succeeded', 2);
});
