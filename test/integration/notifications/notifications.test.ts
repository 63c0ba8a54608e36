import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { loadSettings, type Settings } from '#config';
import { SendNotification } from '#contracts';
import { defineJob, type Handler, type JobContext, JobHandler, NonRetryableError } from '#jobs';
import { NotificationsModule } from '#notifications';
import { QueueStore } from '#records';
import { eventually } from '#testing';
import {
  type Environment,
  givenEnvironment,
  givenProducer,
  givenWorker,
  type Producer,
} from '#testing/services';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';
import { givenReceiver, type Receiver } from '../../support/receiver.js';

const Fail = defineJob({ name: 'work.fail', queue: 'work', payload: z.string(), retry: [] });
const Wait = defineJob({ name: 'work.wait', queue: 'slow', payload: z.null(), retry: [] });

@JobHandler(Fail)
class FailHandler implements Handler<typeof Fail> {
  handle({ payload }: JobContext<typeof Fail>): never {
    throw new NonRetryableError(payload);
  }
}
@JobHandler(Wait)
class WaitHandler implements Handler<typeof Wait> {
  handle() {}
}

const secret = `whsec_${Buffer.from('a secret key of thirty-two bytes').toString('base64')}`;
/** A part of each address that must be seen nowhere. */
const PATH = '/T000/very-secret-path';
let environment: Environment;
let producer: Producer;
let slack: Receiver;
let program: Receiver;
let broker: TcpProxy;
let worker: NestFastifyApplication;
beforeEach(async () => {
  [slack, program] = [await givenReceiver(), await givenReceiver()];
  for (const receiver of [slack, program]) receiver.open();
  const { NOTIFY_WEBHOOKS } = loadSettings({
    NOTIFY_WEBHOOKS: `slack=${new URL(PATH, slack.url)},${new URL(PATH, program.url)}`,
  });
  const settings: Partial<Settings> = {
    ...{ NOTIFY_WEBHOOKS, NOTIFY_SECRET: secret, NOTIFY_AFTER: 1_000, NOTIFY_BACKLOG_AFTER: 1_000 },
    NOTIFY_BACKLOG: { fallback: 1_000, queues: new Map([['slow', 20]]) },
    DASHBOARD_URL: 'https://jobs.example.com',
  };
  const contracts = [Fail, Wait, SendNotification];
  environment = await givenEnvironment(contracts);
  broker = await givenProxy(environment.rabbitmqUrl);
  producer = await givenProducer(environment, { contracts });
  worker = await givenWorker(
    { ...environment, rabbitmqUrl: broker.url },
    { contracts, handlers: [FailHandler, WaitHandler], settings, imports: [NotificationsModule.forWorker()] },
  );
});
afterEach(async () => {
  await Promise.all([worker?.close(), producer?.close()]);
  await broker?.close();
  await environment?.close();
  await Promise.all([slack?.close(), program?.close()]);
});

const told = (receiver = program) => receiver.requests.map(({ body }) => JSON.parse(body));
const titles = () => told().map(({ data: { title } }) => title);
const fail = (...messages: string[]) => producer.jobs.enqueueMany(Fail, messages);
const dead = (count: number) =>
  eventually(
    async () =>
      (await environment.sql(`select from jobs where state = 'dead' and name = 'work.fail'`)).length ===
      count,
  );
/** Until the watch has begun, what dies is of the past. */
const watched = () =>
  eventually(
    async () =>
      (await environment.sql(`select from notification_watch where memory ->> 'deadUntil' is not null`))
        .length,
  );
/** Makes all that has happened a minute older. */
const minuteLater = () =>
  environment.sql(`
    with past as (update jobs set finished_at = finished_at - interval '1 minute')
    update notification_watch set memory = (jsonb_set(memory::jsonb, '{deadUntil}',
      to_jsonb((memory ->> 'deadUntil')::float8 - 60000)))::json`);
const lookedAt = async () => {
  const [row] = await environment.sql<{ at: Date }>('select looked_at as at from notification_watch');
  return Number(row?.at);
};

test('dead letters are told by group, with how many and where, and at most once a minute', async () => {
  await watched();
  await fail('no <!channel> at 1', 'no <!channel> at 2', 'other');
  await dead(3);
  await minuteLater();
  await eventually(() => titles().length > 0);
  const [first] = told();
  expect(first).toMatchObject({ type: 'dead-letters', timestamp: expect.any(String) });
  expect(first.data.link).toBe('https://jobs.example.com/dashboard/dead-letters');
  expect(first.data.title).toBe('3 new dead letters, with 2 errors');
  expect(first.data.lines).toEqual([
    '2 jobs work.fail in work: no <!channel> at #',
    '1 job work.fail in work: other',
  ]);
  await eventually(() => slack.requests.length > 0);
  const { text } = JSON.parse(slack.requests[0]?.body ?? '');
  expect(text).toContain('• `2 jobs work.fail in work: no &lt;!channel&gt; at #`');

  await fail('and again', 'and again', 'and more');
  await dead(6);
  const at = await lookedAt();
  await eventually(async () => (await lookedAt()) - at > 1_000);
  expect(titles()).toHaveLength(1);
  await minuteLater();
  await eventually(() => titles().length > 1);
  expect(titles()[1]).toBe('3 new dead letters, with 2 errors');
  expect(told()[1].data.lines[0]).toBe('2 jobs work.fail in work: and again');
});

test('JSON is signed; a webhook that is away gets it afterwards, and its address is seen nowhere', async () => {
  program.open(503, { 'retry-after': '1' });
  const { id } = await producer.jobs.enqueue(SendNotification, { webhook: 2, type: 'test', title: 'Hello' });
  await eventually(() => program.requests.length > 1);
  program.open();
  await producer.jobs.result({ id }, { timeout: '20s' });
  const all = program.requests.filter(({ headers }) => headers['webhook-id'] === id);
  expect(all.length).toBeGreaterThan(2);
  const { headers, body } = all.at(-1) as (typeof all)[0];
  const signed = `${id}.${headers['webhook-timestamp']}.${body}`;
  const key = Buffer.from('a secret key of thirty-two bytes');
  expect(headers['webhook-signature']).toBe(
    `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
  );

  await slack.close();
  const gone = await producer.jobs.enqueue(SendNotification, { webhook: 1, type: 'test', title: 'Hello' });
  const none = await producer.jobs.enqueue(SendNotification, { webhook: 3, type: 'test', title: 'Hello' });
  const errors = await eventually(async () => {
    const rows = await environment.sql<{ message: string }>(
      `select attempts -> 0 -> 'error' ->> 'message' as message from jobs where id in ($1, $2) and state = 'retrying' order by id`,
      [gone.id, none.id],
    );
    return rows.length === 2 && rows.map(({ message }) => message);
  });
  expect(errors).toEqual([
    'Webhook 1 of NOTIFY_WEBHOOKS did not answer: ECONNREFUSED',
    'Webhook 3 of NOTIFY_WEBHOOKS is not set for this worker: set it to the same for every api and worker',
  ]);
  const records = JSON.stringify(
    await environment.sql('select j::text, (select memory::text from notification_watch) from jobs j'),
  );
  expect(records).not.toContain(PATH);
  expect(records).not.toContain(new URL(slack.url).host);
  slack = await givenReceiver();
});

test('a queue that grows is told, and when it is done', async () => {
  await watched();
  await producer.app.get(QueueStore).pause('slow');
  await eventually(async () => (await environment.countConsumers('slow')) === 0);
  await producer.jobs.enqueueMany(Wait, Array<null>(25).fill(null));
  await eventually(() => titles().length > 0);
  expect(told()).toMatchObject([
    { type: 'backlog', data: { title: 'Jobs come faster than they are done in slow' } },
  ]);
  expect(told()[0].data.lines[0]).toMatch(/^slow: 25 jobs wait, not fewer since .* UTC; it is paused$/);
  await producer.app.get(QueueStore).resume('slow');
  await eventually(() => titles().length > 1);
  expect(told()[1]).toMatchObject({ type: 'backlog-over', data: { title: 'The backlog is done of slow' } });
});

test('dead notifications are not told of, so that a webhook that is gone leads to no more of them', async () => {
  await watched();
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, run_at, finished_at)
     values (gen_random_uuid(), $1, 'maintenance', 'dead', '{}', 1, now(), now())`,
    [SendNotification.name],
  );
  await fail('one');
  await dead(1);
  await minuteLater();
  await eventually(() => titles().length > 0);
  expect(titles()).toEqual(['1 new dead letter, with 1 error']);
});

test('what cannot be told while the broker is away is left to a job, and told afterwards', async () => {
  await watched();
  program.open(500);
  broker.cut();
  await eventually(() => program.requests.length > 0 && slack.requests.length > 0);
  const { text } = JSON.parse(slack.requests[0]?.body ?? '');
  expect(text).toMatch(/^\*The broker takes no messages\*\n• `.*:\d+ has not reached it since /);
  const jobs = () =>
    environment.sql<{ webhook: string; state: string }>(
      `select payload ->> 'webhook' as webhook, state from jobs where payload ->> 'type' = 'broker-outage'`,
    );
  await eventually(async () => (await jobs()).length > 0);
  program.open();
  broker.mend();
  await eventually(async () => (await jobs()).every(({ state }) => state === 'succeeded'));
  expect(await jobs()).toEqual([{ webhook: '2', state: 'succeeded' }]);
  await eventually(() => told().at(-1).type === 'broker-outage-over');
  expect(told().map(({ type }) => type)).toEqual(['broker-outage', 'broker-outage', 'broker-outage-over']);
});
