import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, snooze } from '#jobs';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Add = defineJob({
  name: 'sum.add',
  queue: 'sum',
  payload: z.object({ a: z.number(), b: z.coerce.number().default(10), naps: z.int().default(0) }),
  result: z.object({ sum: z.number() }),
  retry: ['200ms'],
});

let naps = 0;
@JobHandler(Add)
class AddHandler implements Handler<typeof Add> {
  async handle({ payload, progress, signal }: JobContext<typeof Add>) {
    if (naps++ < payload.naps) return snooze('100ms');
    progress(0.5, 'half way');
    expect(signal.aborted).toBe(false);
    return { sum: payload.a + payload.b };
  }
}

let environment: Environment;
let producer: Producer;
let close = async () => {};
const contracts = [Add];
const find = async (id: string) => (await producer.app.get(JobQueries).find(id))!;
const ended = (id: string) =>
  eventually(async () => {
    const job = await find(id);
    return job.finishedAt && job;
  });

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({ contracts, handlers: [AddHandler] }));
});
afterAll(() => close());

test('a job runs once, with defaults and coercions of its schema, and its record tells the whole story', async () => {
  const job = await producer.jobs.enqueue(Add, { a: 1, b: '2' });
  expect(job).toMatchObject({ state: 'queued', attempt: 0, maxAttempts: 2, payload: { a: 1, b: '2' } });

  expect(await ended(job.id)).toMatchObject({
    name: 'sum.add',
    queue: 'sum',
    state: 'succeeded',
    result: { sum: 3 },
    progress: 1,
    attempt: 1,
    error: null,
    attempts: [{ attempt: 1, outcome: 'succeeded', worker: expect.stringContaining(String(process.pid)) }],
  });
});

describe('The result of a job', () => {
  test('comes as its contract has it, to as many as wait for it', async () => {
    const job = await producer.jobs.enqueue(Add, { a: 1, b: '2' }, { delay: '300ms' });
    const results = await Promise.all(
      Array.from({ length: 1_100 }, () => producer.jobs.result(job, { timeout: '20s' })),
    );
    expect(results.every(({ sum }: { sum: number }) => sum === 3)).toBe(true);
    expect(await producer.jobs.result(job, { timeout: 0 })).toEqual({ sum: 3 });
  });

  test('does not come of a job that ends otherwise, does not end in time, or is not there', async () => {
    const { jobs } = producer;
    const job = await jobs.enqueue(Add, { a: 1 }, { delay: '1h' });
    await expect(jobs.result(job, { timeout: '50ms' })).rejects.toThrow('has not ended within 50ms');
    const abortion = new AbortController();
    const abandoned = jobs.result(job, { signal: abortion.signal });
    abortion.abort(new Error('no more'));
    await expect(abandoned).rejects.toThrow('no more');
    const waiting = jobs.result(job, { timeout: '20s' });
    expect(await jobs.cancel(job.id)).toEqual([{ id: job.id, state: 'cancelled' }]);
    expect(await jobs.cancel([job.id])).toEqual([]);
    await expect(waiting).rejects.toMatchObject({ name: 'JobFailedError', job: { state: 'cancelled' } });

    const id = '01890a5d-ac96-774b-bcce-b302099a8057';
    await expect(jobs.result({ id })).rejects.toMatchObject({ name: 'UnknownJobError' });
    expect([await jobs.find(id), await jobs.find('no id')]).toEqual([undefined, undefined]);
    expect(() => jobs.cancel('no id')).toThrow('must be the id of a job');
  });
});

test('many jobs are accepted all or none, and all run', async () => {
  const jobs = await producer.jobs.enqueueMany(
    Add,
    Array.from({ length: 2_500 }, (_, a) => ({ a })),
  );
  await eventually(async () => {
    const [row] = await environment.sql<{ n: number }>(
      `select count(*)::int n from jobs where state = 'succeeded' and id = any($1)`,
      [jobs.map(({ id }) => id)],
    );
    return row?.n === 2_500;
  }, 60_000);
  // biome-ignore lint/suspicious/noExplicitAny: a payload that the types would refuse
  const wrong = [{ a: 1 }, { a: 'no number' }] as any[];
  const before = await environment.sql('select count(*) from jobs');
  await expect(producer.jobs.enqueueMany(Add, wrong)).rejects.toThrow('/payload/a');
  expect(await environment.sql('select count(*) from jobs')).toEqual(before);
});

test('a delayed job waits for its time', async () => {
  const job = await producer.jobs.enqueue(Add, { a: 1 }, { delay: '1s' });
  expect(job.state).toBe('scheduled');
  const done = await ended(job.id);
  expect(done.startedAt!.getTime()).toBeGreaterThanOrEqual(job.runAt.getTime());
  expect(done.attempt).toBe(1);
});

test('a snoozed job runs again and has used up no attempt', async () => {
  naps = 0;
  const job = await producer.jobs.enqueue(Add, { a: 1, naps: 2 });
  expect(await ended(job.id)).toMatchObject({ state: 'succeeded', attempt: 1, attempts: [{ attempt: 1 }] });
  expect(naps).toBe(3);
});

test('a job enqueued in a transaction exists if and only if it commits', async () => {
  const { default: pg } = await import('pg');
  const client = new pg.Client(environment.databaseUrl);
  await client.connect();
  await client.query('begin');
  const lost = await producer.jobs.enqueue(Add, { a: 1 }, { transaction: client });
  await client.query('rollback');
  await client.query('begin');
  const kept = await producer.jobs.enqueue(Add, { a: 2 }, { transaction: client });
  await client.query('commit');
  await client.end();
  expect(await ended(kept.id)).toMatchObject({ state: 'succeeded' });
  expect(await producer.app.get(JobQueries).find(lost.id)).toBeUndefined();
});

test('a message from a foreign program gets its record when it arrives', async () => {
  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  await environment.publish('sum.add', '{"a":1,"b":1}', {
    messageId: id,
    type: 'sum.add',
    contentType: 'application/json',
  });
  await eventually(() => find(id));
  expect(await ended(id)).toMatchObject({ state: 'succeeded', result: { sum: 2 }, payload: { a: 1, b: 1 } });
});

test('P3: a message that is delivered many times runs once', async () => {
  naps = 0;
  const id = '01890a5d-ac96-774b-bcce-b302099a8058';
  const properties = { messageId: id, type: 'sum.add', contentType: 'application/json' };
  await Promise.all(
    Array.from({ length: 10 }, () => environment.publish('sum.add', '{"a":1,"b":1}', properties)),
  );
  await eventually(() => find(id));
  await ended(id);
  // Behind the ten in its queue: once it has run, they are through.
  await ended((await producer.jobs.enqueue(Add, { a: 1 })).id);
  expect(naps).toBe(2);
});

test('a payload too large for a message stays in the record, and the handler gets it all the same', async () => {
  const job = await producer.jobs.enqueue(Add, { a: 1, b: 2, padding: 'x'.repeat(300_000) } as never);
  expect(await ended(job.id)).toMatchObject({ state: 'succeeded', result: { sum: 3 } });
});
