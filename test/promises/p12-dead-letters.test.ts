import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { DeadRecords, Views } from '#records';
import { type Environment, eventually, givenProducerAndWorker, type Producer } from '#testing';

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
let dead: DeadRecords;

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({ contracts, handlers: [FailHandler] }));
  dead = producer.app.get(DeadRecords);
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
 * Until the queue holds one letter for each dead record, and these besides. Looking at the letters takes them out for
 * a moment, so that is done only once their number fits.
 */
const untilTheyFit = (foreign: string[] = []) =>
  eventually(async () => {
    const expected = [...(await deadIds()), ...foreign].sort();
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
  await eventually(async () => (await producer.app.get(Views).find(ids[0]!))?.state === 'succeeded');
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

test('P12: letters that the broker lost come back, second copies go, and what nobody knows is kept', async () => {
  await givenDead(30);
  await untilTheyFit();

  await environment.management('DELETE', '/queues/{vhost}/fail.dead/contents');
  await untilTheyFit();

  const [first, second] = await deadIds();
  const stranger = uuid();
  for (const messageId of [first, first, second, stranger, 'no uuid']) {
    await environment.publishTo('jobs.dead', 'fail', '{"n":1}', {
      messageId,
      headers: { 'x-dead-reason': 'again' },
    });
  }
  await untilTheyFit([stranger, 'no uuid']);

  // With the two strangers counted, a difference of one is seen, and the strangers stay.
  await dead.discard({ ids: [first!] });
  await untilTheyFit([stranger, 'no uuid']);
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
    const job = await producer.app.get(Views).find(id);
    return job?.state === 'dead' ? job : undefined;
  }, 30_000);
  expect(job.error?.message).toContain('delivery_limit');
  expect(await dead.count({ error: 'delivery_limit' })).toBe(1);
  await untilTheyFit();
});
