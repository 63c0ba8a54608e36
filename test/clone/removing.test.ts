import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readParts } from '../../scripts/remove.js';
import { type Clone, givenClone, jobSucceeds, withApps } from '../support/clone.js';
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

  await withApps(clone, (url) => jobSucceeds(url, 'records.prune', {}));
}, 300_000);
