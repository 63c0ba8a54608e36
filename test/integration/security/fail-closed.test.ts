import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { type Environment, givenEnvironment, givenProcess } from '#testing/services';

/** What an app is started with, so that a promise that nobody catches can be left behind in it from outside. */
const leavesPromises = [
  '--import',
  `data:text/javascript,process.on('SIGUSR2', () => void Promise.reject(new Error('left behind')))`,
];

let environment: Environment;
beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
});
afterAll(() => environment?.close());

test.each(['api', 'worker'] as const)('the %s does not go on in a state that nobody knows', async (name) => {
  const app = await givenProcess(name, environment, {}, { nodeOptions: leavesPromises });
  await app.ready();
  app.child.kill('SIGUSR2');
  expect(await once(app.child, 'exit')).toEqual([1, null]);
  expect(app.output()).toContain('left behind');
});
