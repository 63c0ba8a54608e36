import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobView } from '#records';
import { eventually } from '#testing';
import { givenEnvironment, givenProcess, root } from '#testing/services';

/** A copy of the repository, as a cloner has it after `npm ci` and `npm run build`. */
export interface Clone {
  folder: string;
  /** Runs a script of it. @returns its exit code and all that it wrote. */
  run(script: string[], environment?: NodeJS.ProcessEnv): Promise<{ code: number; output: string }>;
  /** The same for a script that must succeed. @returns what it wrote. */
  succeed(script: string[], environment?: NodeJS.ProcessEnv): Promise<string>;
  /** Checks the types of everything, and compiles it. Throws with what is wrong. */
  build(): Promise<void>;
  /** Checks format and lint. Throws with what is wrong. */
  lint(): Promise<void>;
  /** Runs tests, all when no pattern is given. Throws with what failed. */
  test(...patterns: string[]): Promise<string>;
  /** What differs from how the clone was made, one file a line; empty when nothing does. */
  changes(): string;
  /** Puts it back to how it was made, but for what was built. */
  restore(): void;
  read(file: string): Promise<string>;
  close(): Promise<void>;
}

const { PATH, HOME } = process.env;
const TSC = ['node_modules/typescript/bin/tsc'];
const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];

/** Makes a {@link Clone}. Git's index in it remembers how it was. */
export async function givenClone(): Promise<Clone> {
  const folder = await mkdtemp(join(tmpdir(), 'clone-'));
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: folder, encoding: 'utf8', env: { PATH, HOME } });
  const list = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of list.trim().split('\n')) {
    // What is deleted and not committed yet is listed, too.
    await cp(join(root, file), join(folder, file)).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  for (const part of ['apps', 'libs', 'scripts', 'test', '.tsbuildinfo', '.tsbuildinfo-faults'])
    await cp(join(root, 'dist', part), join(folder, 'dist', part), { recursive: true });
  linkPackages(folder);
  git('init', '--quiet');
  git('add', '--all');

  const services = {
    RABBITMQ_URL: process.env.WARREN_TEST_RABBITMQ_URL,
    RABBITMQ_MANAGEMENT_URL: process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL,
    DATABASE_URL: process.env.WARREN_TEST_DATABASE_URL,
  };
  const run: Clone['run'] = (script, environment = services) =>
    new Promise((resolve) => {
      const env = { PATH, HOME, ...environment };
      execFile(process.execPath, script, { cwd: folder, env, maxBuffer: 1e8 }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) || 1 : 0, output: stdout + stderr }),
      );
    });
  const succeed: Clone['succeed'] = async (script, environment) => {
    const { code, output } = await run(script, environment);
    if (code !== 0) throw new Error(`${script.join(' ')} ended with ${code}:\n${output}`);
    return output;
  };
  return {
    folder,
    run,
    succeed,
    build: async () => {
      await succeed([...TSC, '-p', 'tsconfig.json', '--noEmit', 'false']);
      await succeed(['dist/scripts/copy-assets.js']);
    },
    lint: async () => {
      await succeed(['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.']);
    },
    test: (...patterns) => succeed([...JEST, ...(patterns.length > 0 ? ['--runInBand', ...patterns] : [])]),
    changes: () => git('status', '--porcelain', '--untracked-files=all').replace(/^A {2}.*\n/gm, ''),
    restore: () => {
      git('restore', '.');
      git('clean', '-fdq');
    },
    read: (file) => readFile(join(folder, file), 'utf8'),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Runs a clone's api and worker, on a vhost and a database of their own, for as long as something is done with the api. */
export async function withApps(
  { folder, succeed }: Clone,
  action: (url: string) => Promise<void>,
): Promise<void> {
  const environment = await givenEnvironment();
  const settings = { RABBITMQ_URL: environment.rabbitmqUrl, DATABASE_URL: environment.databaseUrl };
  await succeed(['dist/scripts/migrate.js'], settings);
  const start = (app: 'api' | 'worker') => givenProcess(app, environment, settings, { folder });
  const [api, worker] = await Promise.all([start('api'), start('worker')]);
  try {
    await Promise.all([api.ready(), worker.ready()]);
    await action(api.url);
    const codes = await Promise.all([api.stop(), worker.stop()]);
    if (codes.some((code) => code !== 0)) throw new Error(`api and worker ended with ${codes.join(' and ')}`);
  } finally {
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
    await environment.close();
  }
}

/** Gives an api a job, and waits until it has succeeded. */
export async function jobSucceeds(url: string, name: string, payload: object): Promise<void> {
  const response = await fetch(`${url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, payload }),
  });
  const { id } = (await response.json()) as JobView;
  const show = async () => (await (await fetch(`${url}/jobs/${id}`)).json()) as JobView;
  await eventually(async () => (await show()).state === 'succeeded');
}

/** By hard links, which take no time; on another file system by copies. */
function linkPackages(folder: string): void {
  const source = join(root, 'node_modules');
  try {
    execFileSync('cp', ['-al', source, folder], { stdio: 'ignore' });
  } catch {
    execFileSync('cp', ['-a', source, folder]);
  }
}
