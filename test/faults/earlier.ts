import { execFile, execFileSync } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '#testing/services';

const run = promisify(execFile);
const TSC = 'node_modules/typescript/bin/tsc';

/** In place of a version: the code of an earlier commit, in the first version of the contracts. */
export const EARLIER = 0;

/**
 * The last commit without the newest migration, or the one that `FAULTS_EARLIER` names.
 *
 * @returns undefined where the history does not reach back so far.
 */
export function earlierCommit(): string | undefined {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const newest = git('log', '-1', '--format=%H', '--diff-filter=A', '--', 'libs/*/src/migrations/*.sql');
    return git('rev-parse', '--verify', `${process.env.FAULTS_EARLIER ?? `${newest}^`}^{commit}`);
  } catch {
    return undefined;
  }
}

/** Builds the apps of a commit in a new folder, with the suite's contracts as they were then. @returns where they are. */
export async function buildEarlierApps(commit: string, folder: string): Promise<string> {
  await mkdir(folder);
  const archive = `${folder}.tar`;
  await run('git', ['archive', '--output', archive, commit], { cwd: root });
  await run('tar', ['-xf', archive, '-C', folder]);
  await rm(archive);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const node = (...args: string[]) => run(process.execPath, args, { cwd: folder });
  await node(TSC, '-p', 'tsconfig.build.json');
  await node(TSC, '-p', 'test/faults');
  await node('dist/scripts/copy-assets.js');
  const { stdout } = await node(
    '--input-type=module',
    '--eval',
    `import { givenAppsWith } from './dist/test/support/apps-with.js';
     process.stdout.write(await givenAppsWith('faults'));`,
  );
  return stdout;
}
