import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Suites that run the built apps with kinds of job of their own: `test/SUITE/contracts.ts`, `handlers.ts`. */
type Suite = 'samples' | 'faults' | 'bench' | 'integration/telemetry/planted';

/** This file is run as it stands and as it is built. */
const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../..' : '../../..', import.meta.url));
/** A day at which hardly a test runs. */
const HARDLY_EVER = '0 0 29 2 *';

/** Where the apps of a suite are: to Node a package of its own, which finds its dependencies further up. */
export const appsOf = (suite: Suite): string => join(root, 'dist/with', suite);

/**
 * Copies what `npm run build` and `npm run build:faults` made, and adds the contracts and handlers of a suite to those of
 * the clone, which its own controllers may import; its schedules are put off. All else that the suite puts to the test
 * is the api, the worker and the scripts as they are deployed.
 *
 * @returns where they are.
 */
export async function givenAppsWith(suite: Suite): Promise<string> {
  const dist = join(appsOf(suite), 'dist');
  await rm(appsOf(suite), { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  const { imports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  await writeFile(join(appsOf(suite), 'package.json'), JSON.stringify({ type: 'module', imports }));
  for (const part of ['apps', 'libs', 'scripts', 'test']) {
    await cp(join(root, 'dist', part), join(dist, part), { recursive: true }).catch((error) => {
      throw new Error(`Run \`npm run build\` and \`npm run build:faults\` first: ${error.message}`);
    });
  }
  const ours = (name: string) => join(dist, 'test', suite, `${name}.js`);
  await extend(join(dist, 'libs/contracts/src/index.js'), ours('contracts'));
  await extend(join(dist, 'apps/worker/src/handlers/index.js'), ours('handlers'));
  await extend(join(dist, 'libs/contracts/src/schedules.js'), ours('schedules'), putOff);
  return appsOf(suite);
}

/** Makes a module export what another does, too. A clone that has no schedules has no such module. */
async function extend(file: string, ours: string, reexport = (own: string, _text: string) => all(own)) {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const own = file.replace(/\.js$/, '.own.js');
  await rename(file, own);
  const from = (path: string) => `./${relative(dirname(file), path)}`;
  const hasOurs = await readFile(ours).catch(() => undefined);
  await writeFile(file, `${reexport(from(own), text)}${hasOurs ? all(from(ours)) : ''}export {};\n`);
}

const all = (from: string) => `export * from '${from}';\n`;

/** What a clone's schedules would enqueue meanwhile is of no interest. */
function putOff(own: string, text: string): string {
  const names = [...text.matchAll(/^export (?:const (\w+)|\{(.*?)\})/gms)].flatMap(([, one, list = '']) =>
    one ? [one] : list.split(',').flatMap((entry) => entry.trim().split(' as ').at(-1) || []),
  );
  const puts = names.map((name) => `export const ${name} = { ...own.${name}, cron: '${HARDLY_EVER}' };\n`);
  return `import * as own from '${own}';\n${puts.join('')}`;
}
