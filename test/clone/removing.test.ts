import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { JobView } from '#records';
import { eventually, givenEnvironment, givenProcess } from '#testing';
import { readParts } from '../../scripts/remove.js';
import { type Clone, givenClone } from '../support/clone.js';
import { givenTypeChecker } from '../support/type-checker.js';

/** The tests of what is left that need neither broker nor database, and take no time. */
const QUICK = ['libs/', 'apps/', 'scripts/generate', 'scripts/settings'];

let clone: Clone;
let parts: Map<string, string[]>;

beforeAll(async () => {
  clone = await givenClone();
  parts = readParts(await clone.read('docs/removing.md'));
});
afterAll(() => clone?.close());
afterEach(() => clone.restore());

const remove = (...names: string[]) => clone.succeed(['dist/scripts/remove.js', ...names]);

test('every part can go: what is left compiles and lints', async () => {
  expect([...parts.keys()]).toEqual([
    ...['dashboard', 'schedules', 'batches', 'limits', 'isolation', 'command-line', 'examples'],
  ]);
  const checkTypes = givenTypeChecker(clone.folder);
  for (const part of parts.keys()) {
    // Each line of its list is there to be taken.
    expect(await remove(part)).toMatch(/^Removed/);
    try {
      checkTypes();
      await clone.lint();
    } catch (error) {
      throw new Error(`Without ${part}: ${(error as Error).message}`);
    }
    clone.restore();
  }
}, 300_000);

test('with all of them gone the quick tests pass, and a job goes through api and worker', async () => {
  await remove(...parts.keys());
  await clone.build();
  await clone.succeed(['dist/scripts/settings.js']);
  await clone.test(...QUICK);

  const environment = await givenEnvironment();
  const settings = { RABBITMQ_URL: environment.rabbitmqUrl, DATABASE_URL: environment.databaseUrl };
  await clone.succeed(['dist/scripts/migrate.js'], settings);
  const start = (app: 'api' | 'worker') => givenProcess(app, environment, settings, { folder: clone.folder });
  const [api, worker] = await Promise.all([start('api'), start('worker')]);
  try {
    await Promise.all([api.ready(), worker.ready()]);
    const response = await fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'records.prune', payload: {} }),
    });
    const { id } = (await response.json()) as JobView;
    const show = async () => (await (await fetch(`${api.url}/jobs/${id}`)).json()) as JobView;
    await eventually(async () => (await show()).state === 'succeeded');
    expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);
  } finally {
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
    await environment.close();
  }
}, 300_000);
