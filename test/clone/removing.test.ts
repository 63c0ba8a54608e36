import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readParts } from '../../scripts/remove.js';
import { type Clone, givenClone, jobSucceeds, withApps } from '../support/clone.js';
import { givenTypeChecker } from '../support/type-checker.js';

/** The tests of what is left that need neither broker nor database, and take no time. */
const QUICK = ['libs/', 'apps/', 'scripts/generate', 'scripts/settings', 'test/describe', 'test/deploy'];

let clone: Clone;
let parts: Map<string, string[]>;

beforeAll(async () => {
  clone = await givenClone();
  parts = readParts(await clone.read('docs/removing.md'));
});
afterAll(() => clone?.close());
afterEach(() => clone.restore());

const remove = (...names: string[]) => clone.succeed(['dist/scripts/remove.js', ...names]);

/** Where the names of examples stand in folders of the clone, but for the tests of clones. */
async function examplesIn(...folders: string[]): Promise<string[]> {
  const name = /demo\.flaky|email\.send|image\.resize|report\.generate|webhook\.deliver/;
  const found: string[] = [];
  for (const folder of folders) {
    for (const entry of await readdir(join(clone.folder, folder), { recursive: true })) {
      const path = join(folder, entry);
      if (!/\.(ts|js|yaml)$/.test(path) || path.startsWith('test/clone') || path.includes('node_modules'))
        continue;
      if (name.test(await clone.read(path))) found.push(path);
    }
  }
  return found;
}

test('every part can go: what is left compiles and lints', async () => {
  const checkTypes = givenTypeChecker(clone.folder);
  const problems: string[] = [];
  for (const part of parts.keys()) {
    expect(await remove(part)).toContain('Removed');
    if (part === 'examples') expect(await examplesIn('test', 'libs/contracts', 'deploy')).toEqual([]);
    try {
      checkTypes();
      await clone.lint();
    } catch (error) {
      problems.push(`Without ${part}: ${(error as Error).message}`);
    }
    clone.restore();
  }
  expect(problems).toEqual([]);
}, 900_000);

test('with all of them gone the quick tests pass, and a job goes through api and worker', async () => {
  await remove(...parts.keys());
  await clone.succeed(['dist/scripts/generate.js', 'handler', 'trial.bake']);
  await clone.build();
  for (const script of ['settings', 'describe']) await clone.succeed([`dist/scripts/${script}.js`]);
  await clone.test(...QUICK);

  await withApps(clone, (url) => jobSucceeds(url, 'trial.bake', { id: '1' }));
}, 300_000);
