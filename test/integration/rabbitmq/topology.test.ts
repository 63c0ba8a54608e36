import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BrokerConnection, buildTopology, checkTopology, declareTopology } from '#rabbitmq';
import { type Environment, givenEnvironment } from '#testing/services';

const topology = buildTopology({
  queues: new Map([
    ['letter', ['letter.send']],
    ['picture', ['picture.resize', 'picture.crop']],
  ]),
  retryDelays: ['5s', '5000ms', '1m'],
});

let environment: Environment;
let connection: BrokerConnection;
beforeEach(async () => {
  environment = await givenEnvironment();
  connection = new BrokerConnection([environment.rabbitmqUrl], 'test');
  await connection.whenUp(AbortSignal.timeout(20_000));
});
afterEach(async () => {
  await connection?.close();
  await environment?.close();
});

test('one retry queue for each delay, however it is written; targets are declared before what dead-letters into them', () => {
  expect(topology.queues.map(({ name }) => name)).toEqual([
    'jobs.unroutable',
    'jobs.unroutable.dead',
    'letter.dead',
    'picture.dead',
    'letter',
    'picture',
    'jobs.retry.5s',
    'jobs.retry.1m',
  ]);
});

test('declaring is idempotent, and what was declared passes the check', async () => {
  await declareTopology(connection, topology);
  await declareTopology(connection, topology);
  await checkTopology(connection, topology);
  const queues = await environment.management<{ name: string; type: string }[]>('GET', '/queues/{vhost}');
  expect(queues.map(({ name }) => name).sort()).toEqual(topology.queues.map(({ name }) => name).sort());
  expect(new Set(queues.map(({ type }) => type))).toEqual(new Set(['quorum']));
});

test('the check names everything that is missing, says what to do, and makes nothing', async () => {
  await expect(checkTopology(connection, topology)).rejects.toThrow(
    /exchange jobs is missing[\s\S]*queue jobs\.retry\.5s is missing[\s\S]*npm run migrate/,
  );
  expect(await environment.management('GET', '/queues/{vhost}')).toEqual([]);
});

test('other arguments give one message: which queue, expected, found, what to do', async () => {
  await declareTopology(connection, topology);
  const wanted = buildTopology({ queues: new Map([['letter', ['letter.send']]]), retryDelays: ['5s'] });
  const retry = wanted.queues.find(({ name }) => name === 'jobs.retry.5s')!;
  retry.arguments['x-message-ttl'] = 7_000;
  const message =
    /queue jobs\.retry\.5s: x-message-ttl: expected 7000, found 5000\n.*rabbitmqctl delete_queue/s;
  await expect(checkTopology(connection, wanted)).rejects.toThrow(message);
  await expect(declareTopology(connection, wanted)).rejects.toThrow(message);
});

test('a user who may not declare can still check that all is there', async () => {
  await declareTopology(connection, topology);
  const name = `u${environment.vhost}`;
  await environment.management('PUT', `/users/${name}`, { password: 'only-for-this-test', tags: '' });
  await environment.management('PUT', `/permissions/{vhost}/${name}`, {
    configure: '^$',
    write: '.*',
    read: '.*',
  });
  const url = new URL(environment.rabbitmqUrl);
  Object.assign(url, { username: name, password: 'only-for-this-test' });
  const restricted = new BrokerConnection([url.href], 'test');
  try {
    await restricted.whenUp(AbortSignal.timeout(20_000));
    await checkTopology(restricted, topology);
    const more = buildTopology({ queues: new Map([['video', []]]), retryDelays: [] });
    await expect(checkTopology(restricted, more)).rejects.toThrow('queue video is missing');
  } finally {
    await restricted.close();
    await environment.management('DELETE', `/users/${name}`);
  }
});
