import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type ConsumeMessage, connect } from 'amqplib';
import { v7 as uuid, v4 } from 'uuid';
import { z } from 'zod';
import { defineJob, describeMessage, type Handler, JobHandler } from '#jobs';
import {
  DeadJobStore,
  JobQueries,
  JobSearch,
  type JobView,
  type MessageView,
  UnprocessableMessages,
} from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Known = defineJob({ name: 'known.job', queue: 'known', payload: z.unknown(), retry: [] });
const Late = defineJob({ name: 'late.job', queue: 'known', payload: z.unknown(), retry: [] });
const Other = defineJob({ name: 'other.job', queue: 'other', payload: z.unknown() });

@JobHandler(Known)
class KnownHandler implements Handler<typeof Known> {
  async handle() {
    throw new Error('no');
  }
}
@JobHandler(Late)
class LateHandler implements Handler<typeof Late> {
  async handle() {
    return 'done';
  }
}

/** What names an unknown contract is a dead letter at once. */
const settings = { HOLD_UNKNOWN: 0 };
/** How many garbage messages come at once; 100,000 take some minutes. */
const GARBAGE = Number(process.env.GARBAGE ?? 2_000);

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>> | undefined;
let dead: DeadJobStore;
let views: JobQueries;

const depths = async () =>
  Promise.all(
    ['known.dead', 'other.dead', 'jobs.unroutable', 'jobs.unroutable.dead'].map((queue) =>
      environment.countReady(queue),
    ),
  );
const untilDepths = (...expected: number[]) =>
  eventually(async () => expect(await depths()).toEqual(expected) === undefined, 60_000 + GARBAGE * 10);
const untilDead = (count: number) =>
  eventually(async () => expect(await dead.count()).toBe(count) === undefined, 120_000);
const all = async (): Promise<(JobView & { message: MessageView | null })[]> => {
  const jobs = await views.list({ state: 'dead', limit: 1_000 });
  return Promise.all(jobs.map(async (job) => ({ ...job, message: await views.messageOf(job) })));
};

beforeAll(async () => {
  environment = await givenEnvironment([Known, Other]);
  producer = await givenProducer(environment, { contracts: [Known, Other] });
  dead = producer.app.get(DeadJobStore);
  views = producer.app.get(JobQueries);
});
beforeEach(async () => {
  worker = await givenWorker(environment, { contracts: [Known, Other], handlers: [KnownHandler], settings });
});
afterEach(async () => {
  await dead.discard({});
  await untilDepths(0, 0, 0, 0);
  await worker?.close();
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

test('P12: an unprocessable message is a dead letter like any other: listed, grouped, shown and discarded', async () => {
  const [job] = await producer.jobs.enqueueMany(Known, [1]);
  const binary = Buffer.from([0xff, 0x00, 0x80]);
  const odd = {
    messageId: 'mine',
    type: 'x\0y',
    headers: { note: 'a\0b', list: [1, { n: 2 }], raw: binary },
  };
  await environment.publish('known.job', 'no JSON', odd);
  await environment.publish('known.job', 'no JSON', odd);
  await environment.publish('known.job', binary);
  await environment.publish('known.job', 'x'.repeat(10_000), { headers: { CC: ['other', 'known'] } });

  await untilDead(5);
  await untilDepths(5, 0, 0, 0);
  const found = await all();
  const copies = found.filter(({ message }) => message?.size === 7);
  expect(copies).toHaveLength(2);
  for (const copy of copies)
    expect(copy).toMatchObject({
      name: 'unknown',
      queue: 'known',
      payload: null,
      attempt: 1,
      error: { message: expect.stringContaining('messageId'), class: 'UnprocessableMessageError' },
      message: {
        properties: { messageId: 'mine', type: 'x\0y' },
        headers: { note: 'a\0b' },
        body: 'no JSON',
      },
    });
  const long = found.find(({ message }) => message?.size === 10_000);
  expect(long!.message).toMatchObject({ body: 'x'.repeat(4_096), encoding: 'utf8' });
  expect(found.find(({ message }) => message?.size === 3)!.message).toMatchObject({
    body: 'ff0080',
    encoding: 'hex',
  });
  expect(found.find(({ id }) => id === job!.id)!.message).toBeNull();
  const { groups } = await dead.groups();
  expect(groups.map(({ name, count }) => [name, count])).toEqual([
    ['unknown', 4],
    ['known.job', 1],
  ]);

  expect(await dead.discard({ ids: [long!.id] })).toBe(1);
  await untilDepths(4, 0, 0, 0);
  expect(await dead.discard({ name: 'unknown' })).toBe(3);
  await untilDepths(1, 0, 0, 0);
  expect((await views.find(job!.id))?.state).toBe('dead');
});

test('P12: replayed, it runs once its contract is known; what is as bad as before is dead again, in the same record', async () => {
  const id = uuid();
  await environment.publish('known.job', '{}', { messageId: id, type: 'late.job' });
  await environment.publish('known.job', 'still no JSON', { headers: { mine: Buffer.from('kept') } });
  // A job but for its id, which the record gives it.
  await environment.publish('known.job', '{"n":1}', { type: 'late.job', headers: { 'x-attempt': 9 } });
  await untilDead(3);
  const bad = (await all()).find(({ message }) => message?.size === 13)!;
  const nameless = (await all()).find(({ message }) => message?.size === 7)!;

  await worker?.close();
  worker = await givenWorker(environment, {
    contracts: [Known, Late, Other],
    handlers: [KnownHandler, LateHandler],
  });
  expect(await dead.replay({})).toBe(3);
  for (const job of [id, nameless.id])
    await eventually(
      async () =>
        expect(await views.find(job)).toMatchObject({ state: 'succeeded', attempt: 1 }) === undefined,
    );
  await eventually(async () => {
    const job = await views.find(bad.id);
    return job?.state === 'dead' && job.attempts.length === 2;
  });
  await untilDepths(1, 0, 0, 0);
  const [letter] = await environment.drainQueue('known.dead');
  expect(letter).toMatchObject({ content: 'still no JSON', properties: { messageId: bad.id } });
  expect((letter!.headers.mine as Buffer).toString()).toBe('kept');
});

test('P12: what no queue took keeps its routing key, and gets through when it is replayed after the binding is there', async () => {
  await environment.publish('nobody.takes', 'kept', { messageId: 'none' });
  await environment.publish('nobody.takes', '{}', { messageId: uuid(), type: 'other.job' });
  await untilDead(2);
  await untilDepths(0, 0, 0, 2);
  for (const letter of await all())
    expect(letter).toMatchObject({
      queue: 'jobs.unroutable',
      error: { message: 'no queue takes "nobody.takes"' },
    });

  // Without the binding it comes back, to the same record.
  expect(await dead.replay({})).toBe(2);
  await eventually(async () => (await all()).filter(({ attempts }) => attempts.length === 2).length === 2);
  await untilDepths(0, 0, 0, 2);

  await environment.management('POST', '/bindings/{vhost}/e/jobs/q/known', { routing_key: 'nobody.takes' });
  expect(await dead.replay({})).toBe(2);
  await eventually(async () => (await all()).filter(({ attempts }) => attempts.length === 3).length === 2);
  await untilDepths(1, 0, 0, 1);
  expect((await all()).map(({ queue, error }) => [queue, error?.message]).sort()).toEqual(
    [
      ['known', expect.stringMatching(/^(type is missing|This worker has no handler)/)],
      ['jobs.unroutable', expect.stringMatching(/^(type is missing|This worker has no handler)/)],
    ].sort(),
  );
});

test('P12: dead letters with any id are replayed and discarded, and listed by the time of their death', async () => {
  const nil = '00000000-0000-0000-0000-000000000000';
  const ids = [v4(), nil, v4(), 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
  for (const messageId of ids) {
    await environment.publish('known.job', 'x', { messageId, type: 'known.job' });
    await eventually(async () => (await views.find(messageId))?.state === 'dead');
  }
  // The same message again, and another one with an id that is taken.
  await environment.publish('known.job', 'x', { messageId: nil, type: 'known.job' });
  await environment.publish('known.job', 'another', { messageId: nil, type: 'known.job' });
  await untilDead(5);
  await untilDepths(5, 0, 0, 0);
  expect((await all()).map(({ id }) => id).slice(1)).toEqual(ids.toReversed());
  const search = producer.app.get(JobSearch);
  const pages: string[] = [];
  for (let before: string | null | undefined; before !== null; ) {
    const page = await search.find({ state: 'dead', limit: 2, before });
    const listed = await views.list({ state: 'dead', limit: 2, before });
    expect(listed.map(({ id }) => id)).toEqual(page.items.map(({ id }) => id));
    pages.push(...page.items.map(({ id }) => id));
    before = page.next;
  }
  expect(pages.slice(1)).toEqual(ids.toReversed());

  expect(await dead.replay({})).toBe(5);
  await eventually(async () => (await all()).filter(({ attempts }) => attempts.length === 2).length === 5);
  expect(await dead.discard({ ids: [nil] })).toBe(1);
  expect(await dead.discard({})).toBe(4);
});

test('P12: secrets in what was received are redacted wherever they show', async () => {
  const headers = {
    authorization: 'Bearer hunter2',
    nested: { apiKey: 'hunter2' },
    note: 'password=hunter2&a=b',
  };
  await environment.publish('known.job', '{"token":"hunter2","a":1}', { headers });
  await environment.publish('known.job', '{"token":"hunter2", broken', { headers });
  await environment.publish('known.job', `{"token":"hunter2","long":"${'x'.repeat(2 * 1024 * 1024)}"}`, {
    headers,
  });
  await environment.publishTo('jobs.dead', 'known', 'x', {
    headers: { 'x-dead-reason': 'password: hunter2' },
  });
  await untilDead(4);
  const shown = JSON.stringify(await all());
  expect(shown).toContain('[redacted]');
  expect(shown).not.toContain('hunter2');
  const [attempts] = await environment.sql('select json_agg(attempts)::text as text from jobs');
  expect(attempts!.text).not.toContain('hunter2');
});

test('P12: a message that takes the id of a job leaves it alone, and is a dead letter of its own', async () => {
  const [job] = await producer.jobs.enqueueMany(Other, [1], { delay: '1h' });
  await environment.sql(`update jobs set state = 'retrying', attempt = 1 where id = $1`, [job!.id]);
  await environment.publish('known.job', '{}', { messageId: job!.id, type: 'known.job', expiration: '1' });
  await environment.publish('known.job', 'garbage', { messageId: job!.id, type: 'other.job' });
  await untilDead(2);
  await untilDepths(2, 0, 0, 0);
  expect((await views.find(job!.id))!).toMatchObject({ state: 'retrying', attempt: 1, attempts: [] });
  await environment.sql(`update jobs set state = 'cancelled', finished_at = now() where id = $1`, [job!.id]);
});

test('P12: a worker that dies between record and acknowledgement leaves one dead letter for each message', async () => {
  await worker?.close();
  const id = uuid();
  for (let n = 0; n < 3; n++) await environment.publish('known.job', 'the same');
  // Another message of the same bytes, which was not recorded.
  await environment.publish('known.job', '{}', { messageId: uuid(), type: 'not.known' });
  await environment.publish('known.job', '{}', { messageId: id, type: 'not.known' });
  // All that a worker does before it dies: two of the copies are recorded, and no message is acknowledged.
  const connection = await connect(environment.rabbitmqUrl);
  const channel = await connection.createChannel();
  const messages: ConsumeMessage[] = [];
  for (let n = 0; n < 5; n++) messages.push((await channel.get('known')) as unknown as ConsumeMessage);
  const records = producer.app.get(UnprocessableMessages);
  for (const message of [messages[0]!, messages[1]!, messages[4]!])
    await records.record(describeMessage({ queue: 'known', message }, 'it died', 1_000));
  await connection.close();

  worker = await givenWorker(environment, { contracts: [Known, Other], handlers: [KnownHandler], settings });
  await eventually(async () => (await environment.countReady('known')) === 0 && (await dead.count()) >= 5);
  await untilDepths(5, 0, 0, 0);
  expect((await all()).map(({ message }) => message?.size).sort()).toEqual([2, 2, 8, 8, 8]);
});

test(
  `P15: ${GARBAGE} unprocessable messages at once are all listed, and discarded by one filter, while jobs go on`,
  async () => {
    const connection = await connect(environment.rabbitmqUrl);
    const channel = await connection.createConfirmChannel();
    for (let n = 0; n < GARBAGE; n++) {
      channel.publish('jobs', 'known.job', Buffer.from('no JSON'));
      if (n % 1_000 === 999) await channel.waitForConfirms();
    }
    await connection.close();
    await environment.publish('other.job', '{}', { messageId: uuid(), type: 'other.job' });
    const started = performance.now();
    await eventually(async () => (await dead.count({ name: 'other.job' })) === 1, 10_000 + GARBAGE);
    await eventually(async () => (await dead.count({ name: 'unknown' })) === GARBAGE, 10_000 + GARBAGE * 10);
    const recorded = performance.now();
    expect((await dead.groups({ name: 'unknown' })).groups).toMatchObject([{ count: GARBAGE }]);
    expect(await dead.discard({ name: 'unknown' })).toBe(GARBAGE);
    await untilDepths(0, 1, 0, 0);
    if (process.env.GARBAGE)
      console.error(
        `recorded in ${recorded - started} ms, gone ${performance.now() - recorded} ms later, ${process.memoryUsage.rss() / 1e6} MB`,
      );
  },
  60_000 + GARBAGE * 20,
);

test('P12: 1 MiB and 10 MB messages are each one dead letter, and their copies in the queue are small', async () => {
  const body = Buffer.alloc(1024 * 1024, ' ');
  body.write('{}');
  const large = Buffer.alloc(10_000_000, 'x');
  const odd = () => ({ messageId: uuid(), type: 'not.known' });
  for (let n = 0; n < 10; n++) await environment.publish('known.job', body, odd());
  for (let n = 0; n < 3; n++) {
    await environment.publish('known.job', large, odd());
    await environment.publish('no.queue', large, odd());
  }
  await untilDead(16);
  await untilDepths(13, 0, 0, 3);
  const letters = await environment.management<{ payload_bytes: number }[]>(
    'POST',
    '/queues/{vhost}/known.dead/get',
    {
      ...{ count: 100, ackmode: 'ack_requeue_true', encoding: 'auto', truncate: 10 },
    },
  );
  expect(letters.map(({ payload_bytes }) => payload_bytes)).toEqual(Array(13).fill(0));

  expect(await dead.replay({ name: 'not.known' })).toBe(16);
  await eventually(async () => {
    const jobs = await views.list({ state: 'dead', limit: 100 });
    return expect(jobs.map(({ attempts }) => attempts.length)).toEqual(Array(16).fill(2)) === undefined;
  }, 120_000);
  await untilDepths(13, 0, 0, 3);
}, 300_000);
