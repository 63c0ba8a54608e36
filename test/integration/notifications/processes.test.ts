import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';
import { givenReceiver, type Receiver } from '../../support/receiver.js';

let environment: Environment;
let receiver: Receiver;
let broker: TcpProxy;
let database: TcpProxy;
const processes: AppProcess[] = [];

beforeEach(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  receiver = await givenReceiver();
  receiver.open();
  broker = await givenProxy(environment.rabbitmqUrl);
  database = await givenProxy(environment.databaseUrl);
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await Promise.all([broker?.close(), database?.close(), receiver?.close()]);
  await environment?.close();
});

async function given(app: 'api' | 'worker'): Promise<AppProcess> {
  const through = { rabbitmqUrl: broker.url, databaseUrl: database.url };
  const settings = { NOTIFY_WEBHOOKS: `${receiver.url}/very-secret-path`, NOTIFY_AFTER: '2s' };
  const process = await givenProcess(app, through, settings);
  processes.push(process);
  return process.ready();
}
const told = () => receiver.requests.map(({ body }) => JSON.parse(body).type as string);
test('two apis and three workers tell each thing once: dead letters, no worker, an outage of the broker and of the database, and their ends', async () => {
  const [api] = await Promise.all((['api', 'api', 'worker', 'worker', 'worker'] as const).map(given));
  await eventually(
    async () =>
      (await environment.sql(`select from notification_watch where memory ->> 'deadUntil' is not null`))
        .length,
  );
  const all: string[] = [];
  const next = async (type: string) => {
    all.push(type);
    await eventually(() => told().length >= all.length, 60_000);
    expect(told()).toEqual(all);
    // A job whose worker is cut off before it is settled may run again, and tell it again.
    const open = `select from jobs where name = 'notification.send' and state <> 'succeeded'`;
    await eventually(async () => (await environment.sql(open)).length === 0);
  };
  const enqueue = async (name: string, payload: unknown) => {
    const response = await fetch(`${api?.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, payload }),
    });
    expect(response.status).toBe(202);
  };

  await environment.sql(`
    update notification_watch set memory = (jsonb_set(memory::jsonb, '{deadUntil}',
      to_jsonb((memory ->> 'deadUntil')::float8 - 60000)))::json`);
  await enqueue('sample.call', { url: receiver.url, type: 'test', data: null });
  await next('dead-letters');

  broker.cut();
  await next('broker-outage');
  broker.mend();
  await next('broker-outage-over');

  database.cut();
  await next('database-outage');
  database.mend();
  await next('database-outage-over');

  // Those that enqueued jobs are for would be the workers that are gone: an api tells it by itself.
  await Promise.all(processes.slice(2).map((process) => process.stop('SIGKILL')));
  await enqueue('sample.mail', { to: 'ada@example.com', subject: 'Hello', text: 'World' });
  await next('no-worker');
  processes.push(await given('worker'));
  await next('no-worker-over');

  // What a second process told, too, would have come by now: after so many looks.
  const looks = `select looked_at > $1::timestamptz + interval '5 s' as later, looked_at as at from notification_watch`;
  const [{ at }] = (await environment.sql(looks, [new Date()])) as [{ at: Date }];
  await eventually(async () => (await environment.sql(looks, [at]))[0]?.later);
  expect(told()).toEqual(all);

  for (const process of processes) expect(process.output()).not.toContain('very-secret-path');
  const [{ text }] = (await environment.sql<{ text: string }>(
    `select coalesce(string_agg(j::text, ' '), '') as text from jobs j`,
  )) as [{ text: string }];
  expect(text).toContain('notification.send');
  expect(text).not.toContain('very-secret-path');
}, 240_000);
