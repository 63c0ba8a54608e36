import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { root } from '#testing';
import { generate } from '../../scripts/generate.js';
import { type Clone, givenClone, jobSucceeds, withApps } from '../support/clone.js';

let clone: Clone;

beforeAll(async () => {
  clone = await givenClone();
});
afterAll(() => clone?.close());

const run = (...args: string[]) => clone.run(['dist/scripts/generate.js', ...args]);
const nest = (...args: string[]) =>
  clone.succeed(['node_modules/@nestjs/cli/bin/nest.js', 'generate', ...args]);
const changed = () => clone.changes().trim().split('\n').sort();

test('what is generated, here or by Nest, compiles, lints, passes its test and runs; removed again, nothing of it is left', async () => {
  const handler = await run('handler', 'invoice.render');
  expect(handler.output).toMatch(/^Wrote libs\/contracts\/src\/invoice\.render\.ts\n.*Next:\n.*npm test/s);
  expect(await run('schedule', 'nightly.sync')).toMatchObject({ code: 0 });
  expect(changed()).toEqual([
    '?? apps/worker/src/handlers/render-invoice.handler.test.ts',
    '?? apps/worker/src/handlers/render-invoice.handler.ts',
    '?? apps/worker/src/handlers/sync-nightly.handler.test.ts',
    '?? apps/worker/src/handlers/sync-nightly.handler.ts',
    '?? libs/contracts/src/invoice.render.ts',
    '?? libs/contracts/src/nightly.sync.ts',
    '?? libs/contracts/src/schedules/nightly.sync.ts',
    'AM apps/worker/src/handlers/index.ts',
    'AM libs/contracts/src/index.ts',
    'AM libs/contracts/src/schedules.ts',
  ]);
  await clone.lint();
  for (const what of ['service', 'controller']) await nest(what, 'stock', '--project', 'worker');
  for (const project of ['api', 'cli']) await nest('service', 'stock', '--project', project);
  // Nest sorts no imports.
  await clone.succeed(['node_modules/@biomejs/biome/bin/biome', 'check', '--write', 'apps']);
  await clone.lint();
  await clone.build();
  await clone.test('render-invoice', 'sync-nightly', 'stock');

  await withApps(clone, async (url) => {
    await jobSucceeds(url, 'invoice.render', { id: '1' });
    const { items } = (await (await fetch(`${url}/schedules`)).json()) as { items: { name: string }[] };
    expect(items.map(({ name }) => name)).toContain('nightly.sync');
  });

  await clone.succeed(['dist/scripts/remove.js', 'invoice.render', 'nightly.sync']);
  expect(changed()).toEqual(
    [
      ...['api', 'cli', 'worker'].map((app) => `?? apps/${app}/src/stock/stock.service.spec.ts`),
      ...['api', 'cli', 'worker'].map((app) => `?? apps/${app}/src/stock/stock.service.ts`),
      ...['', '.spec'].map((kind) => `?? apps/worker/src/stock/stock.controller${kind}.ts`),
      ...['api', 'cli', 'worker'].map((app) => `AM apps/${app}/src/${app}.module.ts`),
    ].sort(),
  );
  clone.restore();
}, 300_000);

test.each([
  ['handler', 'records.prune', 'There is a job records.prune already'],
  ['handler', 'prune-records', 'prune-records.handler.ts is there already: choose another name'],
  ['handler', 'Invoice.Render', 'name must be at most 100 of a-z 0-9 _ -'],
  ['handler', '../../evil', 'name must be at most 100 of a-z 0-9 _ -'],
  ['handler', 'queue.invoice', 'kept for routing'],
  ['handler', 'invoice.2', 'start with a letter'],
  ['handler', 'map', 'there is one'],
  ['handler', 'index', 'libs/contracts/src/index.ts is there already'],
  ['schedule', 'records.prune', 'libs/contracts/src/schedules/records.prune.ts is there already'],
  ['schedule', 'email.send', 'write its schedule by hand'],
  ['job', 'invoice.render', 'Usage:'],
  ['handler', '', 'Usage:'],
])('%s %s is refused, and nothing is written', (kind, name, message) => {
  process.chdir(clone.folder);
  expect(() => generate([kind, name])).toThrow(message);
  process.chdir(root);
  expect(clone.changes()).toBe('');
});

test('what is refused is told in a line, with the exit code of a wrong use', async () => {
  expect(await run('handler', 'records.prune')).toEqual({
    code: 2,
    output: 'There is a job records.prune already, in libs/contracts/src: choose another name\n',
  });
});

test('remove -- of what is not there is refused, whatever else it is given', async () => {
  const { code, output } = await clone.run(['dist/scripts/remove.js', 'limits', 'email.write']);
  expect(output).toContain('There is neither a part nor a job "email.write". Parts: dashboard, schedules');
  expect(code).toBe(2);
  expect(clone.changes()).toBe('');
});
