import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { root } from '#testing/services';
import { generate } from '../../scripts/generate.js';
import { readParts } from '../../scripts/remove.js';
import { type Clone, givenClone, jobSucceeds, withApps } from '../support/clone.js';
import { addOwnCode } from '../support/own-code.js';

const hasSchedules = existsSync(join(root, 'libs/schedules'));

let clone: Clone;

beforeAll(async () => {
  clone = await givenClone();
});
afterAll(() => clone?.close());

const run = (...args: string[]) => clone.run(['dist/scripts/generate.js', ...args]);
const changed = () => clone.changes().trim().split('\n').sort();

test('what is generated compiles, lints, passes its test and runs; removed again, nothing of it is left', async () => {
  const handler = await run('handler', 'trial.bake');
  expect(handler.output).toMatch(/^Wrote libs\/contracts\/src\/trial\.bake\.ts\n.*Next:\n.*npm test/s);
  if (hasSchedules) expect(await run('schedule', 'trial.sweep')).toMatchObject({ code: 0 });
  const names = hasSchedules ? ['bake', 'sweep'] : ['bake'];
  expect(changed()).toEqual(
    [
      ...names.map((name) => `?? apps/worker/src/handlers/${name}-trial.handler.test.ts`),
      ...names.map((name) => `?? apps/worker/src/handlers/${name}-trial.handler.ts`),
      ...names.map((name) => `?? libs/contracts/src/trial.${name}.ts`),
      ...(hasSchedules
        ? ['?? libs/contracts/src/schedules/trial.sweep.ts', 'AM libs/contracts/src/schedules.ts']
        : []),
      'AM apps/worker/src/handlers/index.ts',
      'AM deploy/components/autoscaling/worker.yaml',
      'AM libs/contracts/src/index.ts',
    ].sort(),
  );
  expect(await clone.read('deploy/components/autoscaling/worker.yaml')).toMatch(
    /queueName: trial, value: "20"/,
  );
  await clone.lint();
  await clone.build();
  await clone.succeed(['dist/scripts/describe.js']);
  await clone.test('-trial', 'test/describe', 'test/deploy');

  await withApps(clone, async (url) => {
    await jobSucceeds(url, 'trial.bake', { id: '1' });
    if (!hasSchedules) return;
    const { items } = (await (await fetch(`${url}/schedules`)).json()) as { items: { name: string }[] };
    expect(items.map(({ name }) => name)).toContain('trial.sweep');
  });

  await clone.succeed(['dist/scripts/remove.js', ...names.map((name) => `trial.${name}`)]);
  await clone.succeed(['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '.']);
  expect(clone.changes().replace(/^.*docs\/(asyncapi|openapi)\.json\n/gm, '')).toBe('');
  clone.restore();
}, 300_000);

test('what Nest generates lands in the module of its app, builds and passes its tests; and no test minds an own controller', async () => {
  expect(await run('handler', 'trial.roast')).toMatchObject({ code: 0 });
  await addOwnCode(clone);
  await clone.lint();
  await clone.build();
  expect(changed().filter((line) => line.endsWith('module.ts'))).toEqual(
    ['api', 'cli', 'worker']
      .filter((app) => existsSync(join(root, 'apps', app)))
      .map((app) => `AM apps/${app}/src/${app}.module.ts`),
  );
  await clone.test('stock', 'canaries', 'integration/api/http');
  clone.restore();
}, 300_000);

test.each([
  ['handler', 'sample.flaky', 'There is a job sample.flaky already'],
  ['handler', 'bake-trial', 'bake-trial.handler.ts is there already: choose another name'],
  ['handler', 'Invoice.Render', 'name must be at most 100 of a-z 0-9 _ -'],
  ['handler', '../../evil', 'name must be at most 100 of a-z 0-9 _ -'],
  ['handler', 'queue.invoice', 'kept for routing'],
  ['handler', 'invoice.2', 'start with a letter'],
  ['handler', 'map', 'there is one'],
  ['handler', 'index', 'libs/contracts/src/index.ts is there already'],
  ...(hasSchedules ? [['schedule', 'sample.mail', 'write its schedule by hand'] as const] : []),
  ['job', 'invoice.render', 'Usage:'],
  ['handler', '', 'Usage:'],
])('%s %s is refused, and nothing is written', async (kind, name, message) => {
  await writeFile(join(clone.folder, 'apps/worker/src/handlers/bake-trial.handler.ts'), '');
  const before = clone.changes();
  process.chdir(clone.folder);
  expect(() => generate([kind, name])).toThrow(message);
  process.chdir(root);
  expect(clone.changes()).toBe(before);
  clone.restore();
});

test('what is refused is told in a line, with the exit code of a wrong use', async () => {
  expect(await run('handler', 'index')).toEqual({
    code: 2,
    output: 'libs/contracts/src/index.ts is there already: choose another name\n',
  });
});

test('remove -- of what is not there is refused, whatever else it is given', async () => {
  const [part = ''] = readParts(await clone.read('docs/removing.md')).keys();
  const { code, output } = await clone.run(['dist/scripts/remove.js', ...(part && [part]), 'no.such']);
  expect(output).toContain('There is neither a part nor a job "no.such". Parts: ');
  expect(code).toBe(2);
  expect(clone.changes()).toBe('');
});
