import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Channel, connect } from 'amqplib';
import pg from 'pg';
import type { BrokerRole } from '#rabbitmq';
import type { JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  builtApps,
  type Environment,
  givenEnvironment,
  givenProcess,
  root,
} from '#testing/services';
import { brokerDefinitions } from '../../../scripts/broker-users.js';

/**
 * The migration, the api and the worker, each as a process with a broker user and a database role of its own that may
 * do what `npm run broker:users` and docker/postgres/roles.sql say, and no more.
 */
let environment: Environment;
let api: AppProcess;
let worker: AppProcess;
let brokerUrls: Record<BrokerRole, string>;
let databaseUrls: Record<'app' | 'migration', string>;

beforeAll(async () => {
  environment = await givenEnvironment();
  const { vhost } = environment;
  const address = (url: string, user: string) => {
    const own = new URL(url);
    [own.username, own.password] = [user, `secret of ${user}`];
    return own.href;
  };

  const brokerUser = (role: BrokerRole) => address(environment.rabbitmqUrl, `${vhost}-${role}`);
  brokerUrls = { api: brokerUser('api'), worker: brokerUser('worker'), migration: brokerUser('migration') };
  await environment.management('POST', '/definitions', brokerDefinitions(brokerUrls));

  const databaseUser = (role: string) => address(environment.databaseUrl, `${vhost}_${role}`);
  databaseUrls = { app: databaseUser('app'), migration: databaseUser('migration') };
  const roles = await readFile(join(root, 'docker/postgres/roles.sql'), 'utf8');
  await environment.sql(roles.replaceAll('warren_', `${vhost}_`));
  for (const role of ['app', 'migration'])
    await environment.sql(`alter role ${vhost}_${role} password 'secret of ${vhost}_${role}'`);

  await promisify(execFile)(process.execPath, [join(builtApps, 'dist/scripts/migrate.js')], {
    env: { RABBITMQ_URL: brokerUrls.migration, DATABASE_URL: databaseUrls.migration },
  });
  const given = (app: 'api' | 'worker') =>
    givenProcess(app, { rabbitmqUrl: brokerUrls[app], databaseUrl: databaseUrls.app });
  [api, worker] = await Promise.all([given('api'), given('worker')]);
  await Promise.all([api.ready(), worker.ready()]);
});
afterAll(async () => {
  await Promise.all([api?.stop('SIGKILL'), worker?.stop('SIGKILL')]);
  if (!environment) return;
  const roles = ['app', 'migration'].map((role) => `${environment.vhost}_${role}`).join(', ');
  await environment.sql(`drop owned by ${roles}; drop role ${roles}`);
  for (const role of ['api', 'worker', 'migration'])
    await environment.management('DELETE', `/users/{vhost}-${role}`);
  await environment.close();
});

async function call<T = JobView>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect([path, response.ok, text]).toEqual([path, true, text]);
  return JSON.parse(text) as T;
}
const until = (job: JobView, state: string, path = `/jobs/${job.id}`) =>
  eventually(async () => {
    const found = await call('GET', path);
    return found.state === state && found;
  });

describe('with no more rights than they need, api and worker', () => {
  test('accept, retry and finish a job', async () => {
    const job = await call('POST', '/jobs', { name: 'sample.flaky', payload: { failures: 1 } });
    expect(await until(job, 'succeeded')).toMatchObject({ attempt: 2 });
  });

  test('dead-letter, replay and discard a job, and keep the dead-letter queue as the records say', async () => {
    const payload = { url: 'http://127.0.0.1:9', type: 'refused', data: null };
    const job = await call('POST', '/jobs', { name: 'sample.call', payload });
    await until(job, 'dead');
    await eventually(async () => (await environment.countReady('sample-call.dead')) === 1);
    const replayed = await call('POST', `/jobs/${job.id}/replay`);
    expect(replayed).toMatchObject({ state: 'queued', attempt: 0 });
    await until(job, 'dead');
    await call('POST', `/jobs/${job.id}/discard`);
    await eventually(async () => (await environment.countReady('sample-call.dead')) === 0, 30_000);
  });

  test('put aside what cannot be understood, and look after what no queue took', async () => {
    await environment.publish('sample.mail', 'no JSON', { type: 'sample.mail' });
    await environment.publish('no.such.contract', '{}');
    for (const queue of ['sample-mail', 'jobs.unroutable']) {
      await eventually(async () => (await environment.countReady(`${queue}.dead`)) === 1);
      const { count } = await call<{ count: number }>('GET', `/dead-letters?queue=${queue}`);
      expect(count).toBe(1);
    }
  });

  test('count consumers, prune and tick', async () => {
    const { items } = await call<{ items: { queue: string; consumers: number }[] }>('GET', '/queues');
    expect(items.find(({ queue }) => queue === 'sample-mail')?.consumers).toBe(1);
    const job = await call('POST', '/schedules/sample.nightly/run');
    await until(job, 'succeeded');
  });

  test('meet no refusal', () => {
    for (const { output } of [api, worker]) expect(output()).not.toMatch(/ACCESS_REFUSED|permission denied/i);
  });
});

test("a command that declares says whose addresses it takes, when it has a worker's", async () => {
  const rebuilding = promisify(execFile)(process.execPath, ['dist/apps/cli/main.js', 'rebuild'], {
    cwd: builtApps,
    env: { PATH: process.env.PATH, RABBITMQ_URL: brokerUrls.worker, DATABASE_URL: databaseUrls.app },
  });
  await expect(rebuilding).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/may not declare queues: take the addresses of the migration[^\n]*\n$/),
  });
});

type Action = (channel: Channel) => Promise<unknown>;
const publish =
  (exchange: string): Action =>
  async (channel) => {
    channel.publish(exchange, 'sample-mail', Buffer.from('{}'));
    await channel.checkExchange('jobs');
  };
const actions: Record<string, Action> = {
  'declare a queue': (channel) => channel.assertQueue('mine'),
  'declare an exchange': (channel) => channel.assertExchange('mine', 'fanout'),
  'bind a queue to the jobs': (channel) => channel.bindQueue('sample-mail', 'jobs', '#'),
  'delete a queue': (channel) => channel.deleteQueue('sample-mail'),
  'read a work queue': (channel) => channel.get('sample-picture'),
  'purge a work queue': (channel) => channel.purgeQueue('sample-picture'),
  'read a retry queue': (channel) => channel.get('jobs.retry.5s'),
  'publish past the exchanges': publish(''),
  'publish a job': publish('jobs'),
  'publish a dead letter': publish('jobs.dead'),
};

test.each<[BrokerRole, string[]]>([
  ['api', ['publish a job']],
  ['worker', ['read a work queue', 'purge a work queue', 'publish a job', 'publish a dead letter']],
])('the broker lets the %s do only: %p', async (role, allowed) => {
  const connection = await connect(brokerUrls[role], { noDelay: true });
  const done: string[] = [];
  for (const [name, action] of Object.entries(actions)) {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    const refusal = await action(channel).catch((error: { code?: number }) => error);
    if ((refusal as { code?: number })?.code !== 403) done.push(name);
  }
  await connection.close();
  expect(done).toEqual(allowed);
});

test('the database lets an app change rows, and nothing else', async () => {
  const client = new pg.Client(databaseUrls.app);
  await client.connect();
  for (const statement of [
    'create table mine ()',
    'alter table jobs add column mine text',
    'truncate job_keys',
    'drop table job_keys',
    'create schema mine',
    'create role mine',
  ]) {
    await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
  }
  await client.end();
});

test('a new contract needs no new permission: no pattern names a queue', () => {
  const { permissions } = brokerDefinitions(brokerUrls);
  const patterns = permissions.flatMap(({ configure, write, read }) => [configure, write, read]);
  expect(patterns.join(' ')).not.toMatch(/email|image|webhook|report|demo|maintenance/);
});
