import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '#testing';

/** Suites that run the built apps with contracts and handlers of their own: `test/SUITE/contracts.ts`, `handlers.ts`. */
type Suite = 'faults' | 'bench';

/** Where the apps of a suite are: to Node a package of its own, which finds its dependencies further up. */
export const appsOf = (suite: Suite): string => join(root, 'dist', suite);

/**
 * Copies what `npm run build` and `npm run build:SUITE` made, and exchanges three files in the copy: the contracts, the
 * schedules, of which there are none, and the worker's handlers. All else that the suite puts to the test is the api,
 * the worker and the scripts as they are deployed.
 */
export async function exchangeApps(suite: Suite): Promise<void> {
  const dist = join(appsOf(suite), 'dist');
  await rm(appsOf(suite), { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  const { imports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  await writeFile(join(appsOf(suite), 'package.json'), JSON.stringify({ type: 'module', imports }));
  for (const part of ['apps', 'libs', 'scripts', 'test']) {
    await cp(join(root, 'dist', part), join(dist, part), { recursive: true }).catch((error) => {
      throw new Error(`Run \`npm run build\` and \`npm run build:${suite}\` first: ${error.message}`);
    });
  }
  await exchange('libs/contracts/src/index.js', 'contracts.js');
  await exchange('apps/worker/src/handlers/index.js', 'handlers.js');
  // Schedules are of contracts that are not there.
  await writeFile(join(dist, 'libs/contracts/src/schedules.js'), 'export {};\n');

  async function exchange(file: string, ours: string): Promise<void> {
    const up = file.replace(/[^/]+/g, '..').replace(/^\.\.\//, '');
    await writeFile(join(dist, file), `export * from '${up}/test/${suite}/${ours}';\n`);
  }
}
