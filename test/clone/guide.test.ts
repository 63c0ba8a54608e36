import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Environment, freePort, givenEnvironment } from '#testing/services';
import { type Clone, givenClone } from '../support/clone.js';
import { Guide } from '../support/guide.js';

/** A name that is no word of the tree. */
const NAME = `z${randomBytes(4).toString('hex')}`;

let clone: Clone;
let environment: Environment;
let guide: Guide;

beforeAll(async () => {
  clone = await givenClone();
  environment = await givenEnvironment();
  const [api, worker] = await Promise.all([freePort(), freePort()]);
  guide = new Guide(clone, {
    RABBITMQ_URL: environment.rabbitmqUrl,
    RABBITMQ_MANAGEMENT_URL: process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL,
    DATABASE_URL: environment.databaseUrl,
    PORT: String(api),
    WORKER_PORT: String(worker),
  });
}, 120_000);
afterAll(async () => {
  await guide?.close();
  await environment?.close();
  await clone?.close();
});

/** As it is cloned, it is followed with Docker: test/docker/guide.engine.ts. */
test('anyone who follows the guide has a job that ran, failed, was repaired and replayed, also after init', async () => {
  await clone.succeed(['dist/scripts/init.js', NAME, '--without-examples']);
  await guide.follow(false);
  const states = await environment.sql<{ name: string; state: string }>(
    'select name, state from jobs order by id',
  );
  expect(states.map(({ state }) => state)).toEqual(states.map(() => 'succeeded'));
  expect(states.filter(({ name }) => name.endsWith('invoice.render'))).toHaveLength(2);
}, 300_000);
