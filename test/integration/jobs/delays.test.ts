import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { BulkStore, JobQueries, JobStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Note = defineJob({ name: 'note.order', queue: 'note', payload: z.object({ n: z.number() }) });
const order: number[] = [];

@JobHandler(Note)
class NoteHandler implements Handler<typeof Note> {
  async handle({ payload }: JobContext<typeof Note>) {
    order.push(payload.n);
    return null;
  }
}

const contracts = [Note];
const handlers = [NoteHandler];
let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
const workers: Awaited<ReturnType<typeof givenWorker>>[] = [];
const find = (id: string) => producer.app.get(JobQueries).find(id);
const records = () => producer.app.get(JobStore);
const ended = (id: string) =>
  eventually(async () => {
    const job = await find(id);
    return job?.finishedAt && job;
  });
async function startWorker(prefetch: number) {
  const worker = await givenWorker(environment, {
    contracts,
    handlers,
    settings: { WORKER_PREFETCH: { fallback: prefetch, queues: new Map() } },
  });
  workers.push(worker);
  return worker;
}

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  await producer?.close();
  await environment?.close();
});

test('after an outage the overdue jobs run, oldest first', async () => {
  const now = Date.now();
  // Enqueued in another order than the one in which they became due.
  const due = [4, 0, 3, 1, 2, 5, 7, 6].map((n) => ({ n, runAt: new Date(now - 3_600_000 + n * 60_000) }));
  for (const { n, runAt } of due)
    await producer.jobs
      .enqueue(Note, { n }, { delay: '1h' })
      .then(({ id }) =>
        environment.sql(`update jobs set run_at = $2, publish_at = $2 where id = $1`, [id, runAt]),
      );
  await startWorker(1);
  await eventually(() => order.length === due.length);
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('a delayed job runs at its time, from milliseconds to a date, and not before', async () => {
  const soon = await producer.jobs.enqueue(Note, { n: 1 }, { delay: 5 });
  const dated = await producer.jobs.enqueue(Note, { n: 2 }, { runAt: new Date(Date.now() + 1_500) });
  const far = await producer.jobs.enqueue(Note, { n: 3 }, { delay: '3650d' });
  for (const { id, runAt } of [soon, dated]) {
    const job = await ended(id);
    expect(job.startedAt!.getTime()).toBeGreaterThanOrEqual(runAt.getTime());
  }
  expect(await find(far.id)).toMatchObject({ state: 'scheduled', runAt: far.runAt });
  const past = await producer.jobs.enqueue(Note, { n: 4 }, { runAt: new Date(0) });
  expect(past.state).toBe('queued');
  await ended(past.id);
});

test('a scheduled job is listed, moved to another time, and P10: cancelled', async () => {
  const [one, two] = [
    await producer.jobs.enqueue(Note, { n: 101 }, { delay: '1d' }),
    await producer.jobs.enqueue(Note, { n: 102 }, { delay: '1d' }),
  ];
  const listed = await producer.app.get(JobQueries).list({ state: 'scheduled', queue: 'note', limit: 10 });
  expect(listed.map(({ id }) => id)).toEqual(expect.arrayContaining([one.id, two.id]));

  const bulk = producer.app.get(BulkStore);
  await records().cancel([two.id]);
  expect(await bulk.reschedule({ ids: [two.id] }, {})).toMatchObject({ count: 0 });
  expect(await bulk.reschedule({ ids: [one.id] }, {})).toMatchObject({ count: 1 });
  expect(await ended(one.id)).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect(await bulk.reschedule({ ids: [one.id] }, {})).toMatchObject({ count: 0 });
  expect(order).not.toContain(102);
});

test('10,000 jobs that are due at once all run, once', async () => {
  await startWorker(200);
  const from = order.length;
  const runAt = new Date(Date.now() + 3_000);
  for (let page = 0; page < 10; page++) {
    const payloads = Array.from({ length: 1_000 }, (_, n) => ({ n: 1_000_000 + page * 1_000 + n }));
    await producer.jobs.enqueueMany(Note, payloads, { runAt });
  }
  await eventually(() => order.length - from >= 10_000, 100_000);
  expect(new Set(order.slice(from)).size).toBe(10_000);
  await eventually(async () => {
    const [row] = await environment.sql<{ open: number }>(
      `select count(*)::int open from jobs where state not in ('succeeded', 'cancelled') and run_at < now()`,
    );
    return row?.open === 0;
  });
});

test('a debounced job runs once, with the last payload', async () => {
  order.length = 0;
  await startWorker(4);
  const enqueue = (n: number) =>
    producer.jobs.enqueue(Note, { n }, { debounce: { key: 'order', delay: '300ms' } });
  const ids = [];
  for (const n of [101, 102, 103]) ids.push((await enqueue(n)).id);
  expect(new Set(ids).size).toBe(1);
  expect(await ended(ids[0] ?? '')).toMatchObject({ state: 'succeeded', payload: { n: 103 } });
  const next = await enqueue(104);
  expect(next.isNew).toBe(true);
  await ended(next.id);
  expect(order).toEqual([103, 104]);
});
