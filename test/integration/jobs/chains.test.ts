import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, NonRetryableError, nextJob } from '#jobs';
import { DeadJobStore, JobQueries, JobStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Count = defineJob({
  name: 'count.letters',
  queue: 'words',
  payload: z.object({ word: z.string() }),
  result: z.object({ letters: z.int() }),
  retry: ['200ms'],
});
const Double = defineJob({
  name: 'count.double',
  queue: 'words',
  payload: z.object({ plus: z.int().default(0), failures: z.int().default(0) }),
  result: z.object({ doubled: z.int(), of: z.string() }),
  retry: ['200ms'],
});

@JobHandler(Count)
class CountHandler implements Handler<typeof Count> {
  handle({ payload }: JobContext<typeof Count>) {
    return { letters: payload.word.length };
  }
}
let isBroken = false;
@JobHandler(Double)
class DoubleHandler implements Handler<typeof Double> {
  handle({ payload, attempt, previous }: JobContext<typeof Double>) {
    if (isBroken) throw new NonRetryableError('broken');
    if (attempt <= payload.failures) throw new Error('not yet');
    const number =
      previous?.name === 'count.letters'
        ? Count.result.parse(previous.result).letters
        : Double.result.parse(previous?.result).doubled;
    return { doubled: 2 * number + payload.plus, of: previous?.id ?? '' };
  }
}

/** Its schemas must see each text once: the second time they would make another one of it. */
const Moment = defineJob({
  name: 'moment.note',
  queue: 'words',
  payload: z.object({
    at: z.coerce.date(),
    text: z.string().transform((text) => `${text}!`),
    until: z.date().optional(),
  }),
  result: z.object({ at: z.coerce.date(), text: z.string().transform((text) => `${text}?`) }),
});
const Maybe = defineJob({ name: 'moment.maybe', queue: 'words', payload: z.string().default('x') });

@JobHandler(Moment)
class MomentHandler implements Handler<typeof Moment> {
  handle({ payload: { at, text }, previous }: JobContext<typeof Moment>) {
    return {
      at: new Date(at.getTime() + 1),
      text: previous ? Moment.result.parse(previous.result).text : text,
    };
  }
}

let environment: Environment;
let worker: Awaited<ReturnType<typeof givenWorker>>;
let producer: Awaited<ReturnType<typeof givenProducer>>;
const contracts = [Count, Double, Moment, Maybe];
const find = (id: string | null) => producer.app.get(JobQueries).find(id ?? '');
const reaches = (id: string | null, state: string) =>
  eventually(async () => {
    const job = await find(id);
    return job?.state === state ? job : undefined;
  });

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
  worker = await givenWorker(environment, {
    contracts,
    handlers: [CountHandler, DoubleHandler, MomentHandler],
  });
});
afterAll(async () => {
  await worker?.close();
  await producer?.close();
  await environment?.close();
});

test('three jobs run one after the other, each with the result of the one before', async () => {
  const first = await producer.jobs.enqueue(
    Count,
    { word: 'rabbit' },
    { next: nextJob(Double, { failures: 1 }, { next: nextJob(Double, { plus: 1 }, { delay: '500ms' }) }) },
  );
  expect(await find(first.next)).toBeUndefined();
  const second = await reaches(first.next, 'succeeded');
  expect(second).toMatchObject({
    attempt: 2,
    previous: { id: first.id, name: 'count.letters', result: { letters: 6 } },
    result: { doubled: 12, of: first.id },
  });
  const third = await reaches(second.next, 'succeeded');
  expect(third).toMatchObject({ result: { doubled: 25, of: second.id }, next: null });
  expect(third.startedAt!.getTime() - second.finishedAt!.getTime()).toBeGreaterThanOrEqual(500);
});

test('what JSON makes of a payload or a result is checked, stored and handed on, and goes through its schema once', async () => {
  const payload = { at: new Date(0), text: 'a' };
  const first = await producer.jobs.enqueue(Moment, payload, { next: nextJob(Moment, payload) });
  const stored = { at: '1970-01-01T00:00:00.000Z', text: 'a' };
  expect(first.payload).toEqual(stored);
  const second = await reaches(first.next, 'succeeded');
  expect(second.payload).toEqual(stored);
  expect(second.previous?.result).toEqual({ at: '1970-01-01T00:00:00.001Z', text: 'a!' });
  expect(second.result).toEqual({ at: '1970-01-01T00:00:00.001Z', text: 'a!?' });
});

test('what a worker would not take, a producer does not', async () => {
  const { jobs } = producer;
  await expect(jobs.enqueue(Maybe, undefined)).rejects.toThrow('/payload: Invalid input: expected string');
  const dated = { at: 0, text: '', until: new Date() };
  const refusal =
    '/until: Invalid input: expected date, received string; in JSON there is none: the schema may be';
  await expect(jobs.enqueue(Moment, dated)).rejects.toThrow(`/payload${refusal}`);
  await expect(jobs.enqueueMany(Moment, [dated])).rejects.toThrow(refusal);
  const next = nextJob(Moment, dated);
  await expect(jobs.enqueue(Count, { word: 'x' }, { next })).rejects.toThrow(
    `/options/next/payload${refusal}`,
  );
  await expect(jobs.enqueue(Count, { word: 'x', at: [Number.NaN] } as never)).rejects.toThrow(
    '/payload/at/0 is NaN',
  );
});

test('a chain stops at a job that dies, and goes on when that is replayed and succeeds', async () => {
  isBroken = true;
  const last = nextJob(Double, {});
  const first = await producer.jobs.enqueue(
    Count,
    { word: 'two\u0000' },
    { next: nextJob(Double, {}, { next: last }) },
  );
  const second = await reaches(first.next, 'dead');
  expect(await find(second.next)).toBeUndefined();
  isBroken = false;
  await producer.app.get(DeadJobStore).replay({ ids: [second.id] });
  expect(await reaches(second.next, 'succeeded')).toMatchObject({ result: { doubled: 16 } });
});

test('what follows a job is there once, however often its end is settled, and not when that was cancelled', async () => {
  const records = worker.get(JobStore);
  const delayed = { delay: '1h', next: nextJob(Double, {}) } as const;
  const [job, cancelled] = await Promise.all([
    producer.jobs.enqueue(Count, { word: 'x' }, delayed),
    producer.jobs.enqueue(Count, { word: 'x' }, delayed),
  ]);
  for (const { id } of [job, cancelled]) {
    await environment.sql(`update jobs set state = 'queued' where id = $1`, [id]);
    await records.claim({ id, name: Count.name, attempt: 1, wantsPayload: false });
  }
  await records.cancel([cancelled.id]);
  const end = { claim: 1, state: 'succeeded', result: '{"letters":"\\u0000"}' } as const;
  const settled = [job, job, cancelled].map(({ id }) => records.settle({ ...end, id }));
  expect((await Promise.all(settled)).sort()).toEqual(['cancelled', 'succeeded', 'succeeded']);
  expect(await records.settle({ ...end, id: job.id })).toBe('succeeded');
  expect(await environment.sql('select id from jobs where id = $1', [job.next])).toHaveLength(1);
  expect(await find(cancelled.next)).toBeUndefined();
});

test('the payload of every job of a chain is checked when it is enqueued, and the error says which', async () => {
  const wrong = nextJob(Double, {}, { next: nextJob(Count, {} as never) });
  const before = await environment.sql('select count(*) from jobs');
  await expect(producer.jobs.enqueue(Count, { word: 'x' }, { next: wrong })).rejects.toThrow(
    '/options/next/options/next/payload/word',
  );
  expect(await environment.sql('select count(*) from jobs')).toEqual(before);
});

test('of jobs with a unique key one waits or runs at a time, and none comes within its time after', async () => {
  const unique = (key: string, held?: '1h') =>
    producer.jobs.enqueue(Count, { word: 'x' }, { unique: { key, for: held }, delay: '1h' });
  const made = await Promise.all(Array.from({ length: 20 }, () => unique('daily')));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  expect(made.filter(({ isNew }) => isNew)).toHaveLength(1);
  expect((await unique('weekly')).isNew).toBe(true);

  const [first] = made;
  await producer.app.get(JobStore).cancel([first!.id]);
  const second = await unique('daily', '1h');
  expect(second.isNew).toBe(true);
  await producer.app.get(JobStore).cancel([second.id]);
  expect(await unique('daily', '1h')).toMatchObject({ id: second.id, state: 'cancelled', isNew: false });
});

test('a chain enqueued in a transaction exists if and only if it commits', async () => {
  const { default: pg } = await import('pg');
  const client = new pg.Client(environment.databaseUrl);
  await client.connect();
  const enqueue = (word: string) =>
    producer.jobs.enqueue(Count, { word }, { transaction: client, next: nextJob(Double, {}) });
  await client.query('begin');
  const lost = await enqueue('lost');
  await client.query('rollback');
  await client.query('begin');
  const kept = await enqueue('kept');
  await client.query('commit');
  await client.end();
  expect(await reaches(kept.next, 'succeeded')).toMatchObject({ result: { doubled: 8 } });
  expect(await find(lost.id)).toBeUndefined();
});
