import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  builtApps,
  type Environment,
  givenEnvironment,
  givenProcess,
} from '#testing/services';
import { givenReceiver, type Receiver, receiverSettings } from '../../support/receiver.js';

const run = promisify(execFile);
let environment: Environment;
let receiver: Receiver;
const processes: AppProcess[] = [];

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  receiver = await givenReceiver();
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
});
afterAll(async () => {
  await receiver?.close();
  await environment?.close();
});

async function given(app: 'api' | 'worker') {
  const process = await givenProcess(app, environment, receiverSettings);
  processes.push(process);
  return process.ready();
}
async function deliver(api: AppProcess, options?: object): Promise<string> {
  const payload = { url: receiver.url, type: 'test', data: null };
  const response = await fetch(`${api.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'sample.call', payload, options }),
  });
  expect(response.status).toBe(202);
  return ((await response.json()) as JobView).id;
}
/** `npm run jobs -- …`, built. */
const jobs = (...args: string[]) =>
  run(process.execPath, ['dist/apps/cli/main.js', ...args], {
    cwd: builtApps,
    env: {
      PATH: process.env.PATH,
      RABBITMQ_URL: environment.rabbitmqUrl,
      DATABASE_URL: environment.databaseUrl,
    },
  });
const states = async () => {
  const rows = await environment.sql<{ state: string; count: number }>(
    'select state, count(*)::int from jobs group by state',
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
};

test('P1: after the broker lost everything, jobs rebuild brings back each unfinished job, once, and scheduled stay scheduled', async () => {
  const [api, worker] = await Promise.all([given('api'), given('worker')]);
  const ids = await Promise.all(Array.from({ length: 30 }, () => deliver(api)));
  const later = await deliver(api, { delay: '1h' });
  // Twenty run, each with a request under way; ten wait in the queue.
  await eventually(async () => (await states()).running === 20 && receiver.waiting.length === 20);
  // Confirmed and noted as such: nothing but a rebuild can know that the broker has lost them.
  await eventually(async () => {
    const [row] = await environment.sql<{ pending: number }>(
      `select count(*)::int pending from jobs where publish_at is not null and id <> $1`,
      [later],
    );
    return row?.pending === 0;
  });
  await worker.stop('SIGKILL');
  await environment.management('DELETE', '/vhosts/{vhost}');
  await environment.management('PUT', '/vhosts/{vhost}');
  await environment.management('PUT', `/permissions/{vhost}/${new URL(environment.rabbitmqUrl).username}`, {
    ...{ configure: '.*', write: '.*', read: '.*' },
  });

  const { stdout } = await jobs('rebuild', '--json');
  expect(JSON.parse(stdout)).toEqual({ published: 30 });
  receiver.open();
  await given('worker');
  await eventually(async () => (await states()).succeeded === 30, 30_000);

  // Again, with everything done: nothing is left to publish, and nothing runs a second time.
  expect(JSON.parse((await jobs('rebuild', '--json')).stdout)).toEqual({ published: 0 });
  expect(await states()).toEqual({ succeeded: 30, scheduled: 1 });
  const [scheduled] = await environment.sql('select state from jobs where id = $1', [later]);
  expect(scheduled).toEqual({ state: 'scheduled' });
  // Twice for those whose worker was killed with their request under way, once for the others.
  const times = ids.map((id) => receiver.received.filter((received) => received === id).length).sort();
  expect(times).toEqual([...Array(10).fill(1), ...Array(20).fill(2)]);
});

test('the command line tells wrong use (2) from failure (1), and says what to do', async () => {
  await expect(jobs('rebuilt')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('rebuild'),
  });
  await expect(
    run(process.execPath, ['dist/apps/cli/main.js', 'rebuild'], {
      env: { PATH: process.env.PATH, DATABASE_URL: 'mysql://x' },
    }),
  ).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('DATABASE_URL') });
});
