import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { LimitsModule } from '#limits';
import { JobQueries, JobStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const payload = z.object({ tenant: z.string().default('one') });
const Limited = defineJob({ name: 'limited.call', queue: 'calls', payload, retry: ['100ms'] });
const ByTenant = defineJob({ name: 'limited.by-tenant', queue: 'calls', payload, retry: [] });
const Bursting = defineJob({ name: 'limited.burst', queue: 'calls', payload, retry: [] });
const Free = defineJob({ name: 'free.call', queue: 'calls', payload, retry: [] });
const Hourly = defineJob({ name: 'limited.hourly', queue: 'hourly', payload, retry: [] });
const contracts = [Limited, ByTenant, Bursting, Free, Hourly];

const MAX = 20;
const PER_MS = 1_000;

/** When handlers started, by one clock for all workers of this process. */
let starts: { name: string; tenant: string; at: number }[] = [];
const note = ({
  name,
  payload: { tenant },
}: Pick<JobContext<typeof Limited>, 'payload'> & { name: string }) => {
  starts.push({ name, tenant, at: performance.now() });
};

@JobHandler(Limited, { rateLimit: { max: MAX, per: '1s' } })
class LimitedHandler implements Handler<typeof Limited> {
  handle(job: JobContext<typeof Limited>) {
    note(job);
    if (job.payload.tenant === 'failing' && job.attempt === 1) throw new Error('fails once');
  }
}
@JobHandler(ByTenant, { rateLimit: { max: MAX, per: '1s', key: ({ tenant }) => tenant } })
class ByTenantHandler implements Handler<typeof ByTenant> {
  handle(job: JobContext<typeof ByTenant>) {
    note(job);
  }
}
@JobHandler(Bursting, { rateLimit: { max: MAX, per: '1s', burst: MAX / 2 } })
class BurstingHandler implements Handler<typeof Bursting> {
  handle(job: JobContext<typeof Bursting>) {
    note(job);
  }
}
@JobHandler(Hourly, { rateLimit: { max: 1, per: '1h' }, concurrency: { max: 1 } })
class HourlyHandler implements Handler<typeof Hourly> {
  handle(job: JobContext<typeof Hourly>) {
    note(job);
  }
}
@JobHandler(Free)
class FreeHandler implements Handler<typeof Free> {
  handle(job: JobContext<typeof Free>) {
    note(job);
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
const workers: Awaited<ReturnType<typeof givenWorker>>[] = [];

beforeEach(async () => {
  starts = [];
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  await producer?.close();
  await environment?.close();
});

/** Two workers, each with its own connections and executor. */
async function givenTwoWorkers() {
  const handlers = [LimitedHandler, ByTenantHandler, BurstingHandler, FreeHandler, HourlyHandler];
  for (let n = 0; n < 2; n++)
    workers.push(await givenWorker(environment, { contracts, handlers, imports: [LimitsModule] }));
}
const ended = (count: number) =>
  eventually(async () => {
    const [row] = await environment.sql<{ count: number }>(
      `select count(*)::int as count from jobs where state in ('succeeded', 'dead')`,
    );
    return row?.count === count;
  }, 40_000);

/** The most starts within any time of the limit's length: counted from each start on. */
function mostWithin(times: number[], perMs = PER_MS): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.max(...sorted.map((from) => sorted.filter((at) => at >= from && at < from + perMs).length));
}
const timesOf = (name: string, tenant?: string) =>
  starts.filter((start) => start.name === name && (!tenant || start.tenant === tenant)).map(({ at }) => at);

test('P14: a rate limit holds across all workers, over any time, and uses up no attempt; others go on', async () => {
  await givenTwoWorkers();
  await producer.jobs.enqueueMany(
    Limited,
    Array.from({ length: 100 }, () => ({})),
  );
  const free = await producer.jobs.enqueueMany(
    Free,
    Array.from({ length: 50 }, () => ({})),
  );
  await eventually(() => timesOf(Free.name).length === free.length);
  // What waits behind the limit has not held up what does not.
  expect(timesOf(Limited.name).length).toBeLessThan(100);

  await ended(150);
  expect(timesOf(Limited.name)).toHaveLength(100);
  expect(mostWithin(timesOf(Limited.name))).toBeLessThanOrEqual(MAX);
  expect(await environment.sql('select distinct attempt, attempts, crashes from jobs')).toEqual([
    { attempt: 1, attempts: [], crashes: 0 },
  ]);
});

test('P14: a retry counts as a start', async () => {
  await givenTwoWorkers();
  await producer.jobs.enqueueMany(
    Limited,
    Array.from({ length: 30 }, (_, n) => ({ tenant: n < 20 ? 'failing' : 'one' })),
  );
  await ended(30);
  expect(timesOf(Limited.name)).toHaveLength(50);
  expect(mostWithin(timesOf(Limited.name))).toBeLessThanOrEqual(MAX);
});

test('P14: with a key, each of its values has a limit of its own', async () => {
  await givenTwoWorkers();
  const tenants = ['one', 'two', 'three'];
  await producer.jobs.enqueueMany(
    ByTenant,
    Array.from({ length: 90 }, (_, n) => ({ tenant: tenants[n % 3] })),
  );
  await ended(90);
  for (const tenant of tenants) expect(mostWithin(timesOf(ByTenant.name, tenant))).toBeLessThanOrEqual(MAX);
  expect(mostWithin(timesOf(ByTenant.name))).toBeGreaterThan(MAX);
});

test('P14: a burst starts at once, and counts', async () => {
  await givenTwoWorkers();
  await producer.jobs.enqueueMany(
    Bursting,
    Array.from({ length: 50 }, () => ({})),
  );
  await ended(50);
  expect(mostWithin(timesOf(Bursting.name))).toBeLessThanOrEqual(MAX);
});

test('P14: what an outage has held up makes no burst', async () => {
  await producer.jobs.enqueueMany(
    Limited,
    Array.from({ length: 60 }, () => ({})),
  );
  await eventually(async () => (await environment.countReady('calls')) === 60);
  await givenTwoWorkers();
  await eventually(async () => {
    const rows = await environment.sql(`select from jobs where state = 'scheduled'`);
    return rows.length > 20;
  });
  // All are due at once, as after a time without a relay.
  await environment.sql(`update jobs set publish_at = now() where state = 'scheduled'`);
  await ended(60);
  expect(timesOf(Limited.name)).toHaveLength(60);
  expect(mostWithin(timesOf(Limited.name))).toBeLessThanOrEqual(MAX);
});

test('a limit that makes no sense stops the start', async () => {
  @JobHandler(Limited, { rateLimit: { max: 0, per: '1s' } })
  class Senseless implements Handler<typeof Limited> {
    handle() {}
  }
  await expect(
    givenWorker(environment, { contracts, handlers: [Senseless], imports: [LimitsModule] }),
  ).rejects.toThrow('@JobHandler(limited.call): rateLimit.max must be a whole number from 1');
});

test('a limit takes a LimitsModule: without one the worker does not start, and says so', async () => {
  await expect(givenWorker(environment, { contracts, handlers: [LimitedHandler] })).rejects.toThrow(
    "LimitedHandler has limits, which take a LimitsModule: add it to the worker's parts, or drop the options",
  );
});

test('P5: an attempt that was lost with its worker and is then put off by a limit is not used up', async () => {
  await producer.jobs.enqueueMany(Limited, Array<object>(2 * MAX).fill({}));
  const { id } = await producer.jobs.enqueue(Limited, { tenant: 'failing' });
  const lost = await givenProducer(environment, { contracts });
  await lost.app.get(JobStore).claim({ id, name: Limited.name, attempt: 1, wantsPayload: false });
  await lost.close();

  await givenTwoWorkers();
  await ended(2 * MAX + 1);
  // Were it used up, the second attempt would be the first one to run, and would not fail.
  const job = await producer.app.get(JobQueries).find(id);
  expect(job).toMatchObject({ state: 'succeeded', attempt: 2 });
  expect(job?.attempts.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
    [1, 'crashed'],
    [1, 'failed'],
    [2, 'succeeded'],
  ]);
});

test('P7, P14: a job that was lost twice with its worker takes its turn of a limit, and runs once more', async () => {
  const { id } = await producer.jobs.enqueue(Hourly, {});
  await environment.sql('update jobs set crashes = 2 where id = $1', [id]);
  await givenTwoWorkers();
  await eventually(async () => (await producer.app.get(JobQueries).find(id))?.state === 'succeeded', 20_000);
  expect(timesOf(Hourly.name)).toHaveLength(1);
});

test('P14, P10: what is not going to start takes no turn, whatever the reason', async () => {
  const elsewhere = await givenProducer(environment, { contracts });
  const records = elsewhere.app.get(JobStore);
  const set = (columns: string) => (id: string) =>
    environment.sql(`update jobs set ${columns} where id = $1`, [id]);
  const reasons: ((id: string) => Promise<unknown>)[] = [
    (id) => records.cancel([id]),
    (id) => records.claim({ id, name: Hourly.name, attempt: 1, wantsPayload: false }),
    set(`attempt = 3`),
    set(`state = 'succeeded', attempt = 1, finished_at = now()`),
    set(`state = 'scheduled', run_at = now() + interval '1 day', publish_at = now() + interval '1 day'`),
    set(`name = '${Limited.name}'`),
    set(`crashes = 3`),
  ];
  for (const reason of reasons) await reason((await producer.jobs.enqueue(Hourly, {})).id);
  const message = { messageId: uuid(), type: Hourly.name, contentType: 'application/json' };
  await environment.publish(Hourly.name, '{"tenant":7}', message);
  const { id } = await producer.jobs.enqueue(Hourly, {});
  await eventually(async () => (await environment.countReady('hourly')) === reasons.length + 2);

  await givenTwoWorkers();
  await eventually(async () => (await producer.app.get(JobQueries).find(id))?.state === 'succeeded', 20_000);
  await eventually(async () => (await environment.countReady('hourly')) === 0);
  expect(timesOf(Hourly.name)).toHaveLength(1);
  expect(await environment.sql('select from concurrency_waiters')).toEqual([]);
  await elsewhere.close();
});
