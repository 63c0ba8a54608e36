import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { LimitsModule } from '#limits';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const payload = z.object({ tenant: z.string().default('one') });
const Narrow = defineJob({ name: 'narrow.work', queue: 'work', payload, retry: [] });
const ByTenant = defineJob({ name: 'narrow.by-tenant', queue: 'work', payload, retry: [] });
const Free = defineJob({ name: 'free.work', queue: 'work', payload, retry: [] });
const contracts = [Narrow, ByTenant, Free];
const MAX = 3;

/** What runs now, and what was the most at once, by contract and tenant. */
const running = new Map<string, number>();
const most = new Map<string, number>();
/** Each running job waits until the test lets it go, or for a little while once the gate is open. */
let held: (() => void)[] = [];
let isOpen = false;

async function work(key: string) {
  running.set(key, (running.get(key) ?? 0) + 1);
  most.set(key, Math.max(most.get(key) ?? 0, running.get(key) ?? 0));
  await new Promise<void>((resolve) => {
    if (isOpen) setTimeout(resolve, 50);
    else held.push(resolve);
  });
  running.set(key, (running.get(key) ?? 0) - 1);
}
function open() {
  isOpen = true;
  for (const letGo of held.splice(0)) letGo();
}

@JobHandler(Narrow, { concurrency: { max: MAX } })
class NarrowHandler implements Handler<typeof Narrow> {
  handle() {
    return work('narrow');
  }
}
@JobHandler(ByTenant, { concurrency: { max: 1, key: ({ tenant }) => tenant } })
class ByTenantHandler implements Handler<typeof ByTenant> {
  handle({ payload: { tenant } }: JobContext<typeof ByTenant>) {
    return work(tenant);
  }
}
let free = 0;
@JobHandler(Free)
class FreeHandler implements Handler<typeof Free> {
  handle() {
    free++;
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
const workers: Awaited<ReturnType<typeof givenWorker>>[] = [];

beforeEach(async () => {
  running.clear();
  most.clear();
  held = [];
  isOpen = false;
  free = 0;
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterEach(async () => {
  open();
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  await producer?.close();
  await environment?.close();
});

async function givenAWorker() {
  const handlers = [NarrowHandler, ByTenantHandler, FreeHandler];
  const settings = { WORKER_PREFETCH: { fallback: 5, queues: new Map() } };
  const worker = await givenWorker(environment, { contracts, handlers, settings, imports: [LimitsModule] });
  workers.push(worker);
  return worker;
}
const countOf = async (state: string, name: string = Narrow.name) => {
  const [row] = await environment.sql<{ count: number }>(
    'select count(*)::int as count from jobs where state = $1 and name = $2',
    [state, name],
  );
  return row?.count;
};
const holders = async () =>
  (
    await environment.sql<{ count: number }>(
      'select coalesce(sum(cardinality(holders)), 0)::int as count from concurrency_limits',
    )
  )[0]?.count;

test('at most so many run at once over two workers; the others wait without a place of the prefetch or an attempt', async () => {
  await Promise.all([givenAWorker(), givenAWorker()]);
  await producer.jobs.enqueueMany(
    Narrow,
    Array.from({ length: 30 }, () => ({})),
  );
  await eventually(() => running.get('narrow') === MAX);
  await eventually(async () => (await countOf('scheduled')) === 30 - MAX);
  // More than both workers could prefetch are put off, so the way is free.
  await producer.jobs.enqueueMany(
    Free,
    Array.from({ length: 20 }, () => ({})),
  );
  await eventually(() => free === 20);
  expect(most.get('narrow')).toBe(MAX);

  open();
  await eventually(async () => (await countOf('succeeded')) === 30, 30_000);
  expect(most.get('narrow')).toBe(MAX);
  expect(await environment.sql('select distinct attempt, crashes from jobs')).toEqual([
    { attempt: 1, crashes: 0 },
  ]);
  await eventually(async () => (await holders()) === 0);
});

test('with a key, so many of each of its values', async () => {
  await Promise.all([givenAWorker(), givenAWorker()]);
  await producer.jobs.enqueueMany(
    ByTenant,
    Array.from({ length: 12 }, (_, n) => ({ tenant: `tenant ${n % 4}` })),
  );
  await eventually(() => [...running.values()].filter((count) => count === 1).length === 4);
  open();
  await eventually(async () => (await countOf('succeeded', ByTenant.name)) === 12, 30_000);
  expect([...most.values()]).toEqual([1, 1, 1, 1]);
});

test('a cancelled job is passed over when a slot becomes free', async () => {
  await givenAWorker();
  const jobs = await producer.jobs.enqueueMany(
    Narrow,
    Array.from({ length: MAX + 5 }, () => ({})),
  );
  await eventually(() => running.get('narrow') === MAX);
  const waiting = await eventually(async () => {
    const rows = await environment.sql<{ job: string }>(
      'select job from concurrency_waiters order by run_at',
    );
    return rows.length === 5 ? rows.slice(0, 4) : undefined;
  });
  await environment.sql(
    `update jobs set state = 'cancelled', finished_at = now(), publish_at = null where id = any ($1)`,
    [waiting.map(({ job }) => job)],
  );
  held.shift()?.();
  await eventually(async () => (await countOf('running')) === MAX && (await countOf('succeeded')) === 1);
  open();
  await eventually(async () => (await countOf('succeeded')) === jobs.length - 4);
});

test('the slots of a killed worker are free again, and its jobs run elsewhere', async () => {
  const script = fileURLToPath(new URL('../../support/narrow-worker.js', import.meta.url));
  const { rabbitmqUrl: RABBITMQ_URL, databaseUrl: DATABASE_URL } = environment;
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env.PATH, RABBITMQ_URL, DATABASE_URL, MAX: String(MAX) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let started = '';
  child.stdout.on('data', (chunk) => (started += chunk));
  await producer.jobs.enqueueMany(
    Narrow,
    Array.from({ length: MAX + 2 }, () => ({})),
  );
  await eventually(() => started.trim().split('\n').length === MAX);
  await givenAWorker();
  await eventually(async () => (await countOf('scheduled')) === 2);
  expect(running.get('narrow')).toBeUndefined();

  child.kill('SIGKILL');
  await once(child, 'exit');
  await eventually(() => running.get('narrow') === MAX);
  open();
  await eventually(async () => (await countOf('succeeded')) === MAX + 2);
  expect(most.get('narrow')).toBe(MAX);
  const crashes = await environment.sql<{ crashes: number }>('select crashes from jobs order by crashes');
  expect(crashes.map(({ crashes }) => crashes)).toEqual([0, 0, 1, 1, 1]);
});
