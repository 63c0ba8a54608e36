import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { DeadJobStore, JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Fail = defineJob({
  name: 'fail.always',
  queue: 'fail',
  payload: z.object({ n: z.number() }),
  retry: [],
});
let works = false;

@JobHandler(Fail)
class FailHandler implements Handler<typeof Fail> {
  async handle({ payload }: JobContext<typeof Fail>) {
    if (!works) throw new Error(`number ${payload.n} is ${payload.n % 2 ? 'odd' : 'even'}`);
    return null;
  }
}

const contracts = [Fail];
let environment: Environment;
let producer: Producer;
let close = async () => {};
let dead: DeadJobStore;

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({ contracts, handlers: [FailHandler] }));
  dead = producer.app.get(DeadJobStore);
});
afterAll(() => close());

/** The ids of the letters that lie in the queue; they are put back by closing the channel. */
async function letters(): Promise<string[]> {
  const found = await environment.management<{ properties: { message_id?: string } }[]>(
    'POST',
    '/queues/{vhost}/fail.dead/get',
    { count: 1_000, ackmode: 'ack_requeue_true', encoding: 'auto' },
  );
  return found.map(({ properties }) => properties.message_id ?? '').sort();
}
const deadIds = async () =>
  (await environment.sql<{ id: string }>(`select id from jobs where state = 'dead'`))
    .map(({ id }) => id)
    .sort();
/**
 * Until the queue holds one letter for each dead record. Looking at the letters takes them out for a moment, so that is
 * done only once their number fits.
 */
const untilTheyFit = () =>
  eventually(async () => {
    const expected = await deadIds();
    expect(await environment.countReady('fail.dead')).toBe(expected.length);
    expect(await letters()).toEqual(expected);
    return true;
  }, 30_000);

async function givenDead(count: number): Promise<string[]> {
  works = false;
  const jobs = await producer.jobs.enqueueMany(
    Fail,
    Array.from({ length: count }, (_, n) => ({ n })),
  );
  const ids = jobs.map(({ id }) => id);
  await eventually(async () => (await deadIds()).filter((id) => ids.includes(id)).length === count);
  return ids;
}

beforeEach(async () => {
  await environment.sql('delete from jobs');
  await environment.management('DELETE', '/queues/{vhost}/fail.dead/contents');
});

test('P12: after replay and discard, of one, of a filter and of all, the queue holds what the records say', async () => {
  const ids = await givenDead(40);
  await untilTheyFit();

  const group = { queue: 'fail', name: 'fail.always', count: 20 };
  const { groups } = await dead.groups();
  expect(groups.map(({ errorForm }) => errorForm).sort()).toEqual(['number # is even', 'number # is odd']);
  expect(groups).toEqual([expect.objectContaining(group), expect.objectContaining(group)]);
  // A number is that number, `#` is any.
  expect(await dead.count({ error: 'Number 7 is' })).toBe(1);
  expect(await dead.count({ error: 'Number # is' })).toBe(40);

  works = true;
  expect(await dead.replay({ ids: [ids[0]!] })).toBe(1);
  expect(await dead.discard({ error: 'is ODD' })).toBe(20);
  expect(await dead.discard({ queue: 'elsewhere' })).toBe(0);
  await eventually(async () => (await producer.app.get(JobQueries).find(ids[0]!))?.state === 'succeeded');
  await untilTheyFit();
  expect(await deadIds()).toHaveLength(19);

  expect(await dead.replay({ queue: 'fail', name: 'fail.always' })).toBe(19);
  await untilTheyFit();
  expect(await letters()).toEqual([]);
  await eventually(async () => {
    const states = await environment.sql<{ state: string; attempt: number }>(
      'select state, attempt from jobs',
    );
    return states.every(
      ({ state, attempt }) => state === 'discarded' || (state === 'succeeded' && attempt === 1),
    );
  });
});

test('P12: letters that the broker lost come back, second copies go, and what others put there becomes a record', async () => {
  await givenDead(30);
  await untilTheyFit();

  await environment.management('DELETE', '/queues/{vhost}/fail.dead/contents');
  await untilTheyFit();

  const [first, second] = await deadIds();
  const unknown = uuid();
  const put = (messageId: string, type?: string, headers: object = { 'x-dead-reason': 'again' }) =>
    environment.publishTo('jobs.dead', 'fail', '{"n":1}', { messageId, type, headers });
  for (const id of [first!, first!, second!, unknown]) await put(id, 'fail.always');
  // Of another contract, or of none: it stands for no job, whatever id it has.
  await put(first!, 'fail.never', { CC: ['fail', 'fail.dead'] });
  await put('no uuid');
  await untilTheyFit();
  const others = await environment.sql<{ id: string; name: string; reason: string }>(
    `select id, name, attempts -> -1 -> 'error' ->> 'message' as reason from jobs
     where id in (select job from unprocessable_messages) order by name`,
  );
  expect(others.map(({ name, reason }) => [name, reason])).toEqual([
    ['fail.always', 'again'],
    ['fail.never', 'published to the dead-letter queue'],
    ['unknown', 'again'],
  ]);
  expect(others[0]!.id).toBe(unknown);
  expect((await producer.app.get(JobQueries).find(first!))?.attempts).toHaveLength(1);
  expect(await deadIds()).toHaveLength(33);

  await dead.discard({ ids: [first!] });
  await untilTheyFit();
});

test('P12: a job that the broker itself gave up is dead in its record too', async () => {
  const id = uuid();
  // Never claimed: the worker is not asked, the broker dead-letters it as after too many deliveries.
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, run_at)
     values ($1, 'fail.always', 'fail', 'queued', '{"n":7}', 1, now())`,
    [id],
  );
  await environment.publishTo('jobs.dead', 'fail', '{"n":7}', {
    messageId: id,
    type: 'fail.always',
    headers: { 'x-first-death-reason': 'delivery_limit' },
  });
  const job = await eventually(async () => {
    const job = await producer.app.get(JobQueries).find(id);
    return job?.state === 'dead' ? job : undefined;
  }, 30_000);
  expect(job.error?.message).toContain('delivery_limit');
  expect(await dead.count({ error: 'delivery_limit' })).toBe(1);
  await untilTheyFit();
});

test('P12: a message in the dead-letter queue changes no job that it does not stand for', async () => {
  const waiting = [uuid(), uuid(), uuid()];
  for (const id of waiting)
    await environment.sql(
      `insert into jobs (id, name, queue, state, payload, attempt, max_attempts, run_at, publish_at)
       values ($1, 'fail.always', 'fail', 'retrying', '{"n":7}', 2, 5, now() + interval '1 hour', now() + interval '1 hour')`,
      [id],
    );
  const [otherContract, oldAttempt, replayed] = waiting as [string, string, string];
  // As the broker puts it there when a client has set `expiration`; the work queue would take it at once.
  const put = (messageId: string, type: string, headers: Record<string, unknown>) =>
    environment.publishTo('jobs.dead', 'fail', '{"n":7}', { messageId, type, headers });
  await put(otherContract, 'fail.sometimes', { 'x-first-death-reason': 'expired', 'x-attempt': 3 });
  await put(oldAttempt, 'fail.always', { 'x-first-death-reason': 'expired' });
  await put(replayed, 'fail.always', {
    'x-dead-reason': 'what it died of before it was replayed',
    'x-attempt': 3,
  });

  const [other] = await eventually(async () => {
    const ids = await deadIds();
    return ids.length > 0 ? ids : undefined;
  });
  await untilTheyFit();
  expect(await producer.app.get(JobQueries).find(other!)).toMatchObject({
    name: 'fail.sometimes',
    error: { message: 'expired', class: 'UnprocessableMessageError' },
  });
  expect(
    await environment.sql('select id, state, attempt, attempts from jobs where state <> $1 order by id', [
      'dead',
    ]),
  ).toEqual(waiting.toSorted().map((id) => ({ id, state: 'retrying', attempt: 2, attempts: [] })));
});

test('P12: a dead letter runs with the payload that it was replayed with, and keeps the one that it died with', async () => {
  const ids = await givenDead(3);
  works = true;
  const { jobs } = producer;
  const edit = (patch: unknown) => jobs.editOf({ patch });
  expect(await dead.replayAll({ queue: 'fail' }, { edit: edit({ n: 'none' }) })).toEqual({
    count: 0,
    leftOut: 3,
  });
  expect(await deadIds()).toEqual([...ids].sort());
  expect((await jobs.find(ids[0]!))?.originalPayload).toBeUndefined();

  expect(
    await dead.replayAll({ queue: 'fail', where: { path: ['n'], value: '2' } }, { edit: edit({ n: 42 }) }),
  ).toEqual({
    count: 1,
    leftOut: 0,
  });
  const edited = await eventually(async () => {
    const job = await jobs.find(ids[2]!);
    return job?.state === 'succeeded' && job;
  });
  expect(edited).toMatchObject({ payload: { n: 42 }, originalPayload: { n: 2 }, attempt: 1 });
  await untilTheyFit();
});

test('jobs that ended are enqueued again once, at a rate, however often the same is asked and by how many at once', async () => {
  const ids = await givenDead(250);
  works = true;
  const { jobs } = producer;
  const filter = { queue: 'fail', error: 'is even' };
  const abortion = new AbortController();
  const onProgress = () => abortion.abort();
  const first = await jobs.rerunAll(filter, { signal: abortion.signal, onProgress });
  expect(first).toEqual({ count: 100, leftOut: 0 });
  const rest = await Promise.all([1, 2].map(() => jobs.rerunAll(filter, { perSecond: 10 })));
  expect(rest.reduce((sum, { count }) => sum + count, 0)).toBe(25);
  expect(await jobs.rerunAll(filter)).toEqual({ count: 0, leftOut: 0 });

  const [row] = await environment.sql(
    `select count(*)::int as n, count(distinct rerun_of)::int as olds, max(run_at) - min(run_at) > '1.5 s' as spread
     from jobs where rerun_of = any ($1)`,
    [ids],
  );
  expect(row).toEqual({ n: 125, olds: 125, spread: true });
  await eventually(async () => {
    const left = await environment.sql(
      `select 1 from jobs where rerun_of is not null and state <> 'succeeded'`,
    );
    return left.length === 0;
  }, 30_000);
});
