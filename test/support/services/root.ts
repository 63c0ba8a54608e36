import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of the repository, from the source as from what was compiled into dist. */
export const root = findRoot(import.meta.dirname);

/** Where the built api, worker and scripts are that tests start: a copy that also knows the kinds of job of the tests. */
export const builtApps = process.env.WARREN_TEST_APPS ?? root;

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder));
}
