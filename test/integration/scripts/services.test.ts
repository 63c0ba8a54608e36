import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '#testing';
import { root } from '#testing/services';
import {
  checkPostgres,
  checkRabbitmq,
  checkRabbitmqManagement,
  freePorts,
} from '../../../scripts/services/addresses.js';
import { startServices } from '../../../scripts/services.js';

/** Enough for Docker Compose to fetch its images, where that is what starts the services. */
const START_LIMIT_MS = 300_000;
const VARIABLES = ['RABBITMQ_URL', 'RABBITMQ_MANAGEMENT_URL', 'DATABASE_URL'];

const environment = { ...process.env };
beforeEach(() => {
  for (const name of VARIABLES) delete process.env[name];
});
afterEach(() => {
  for (const name of VARIABLES) delete process.env[name];
  Object.assign(process.env, environment);
});

test('addresses in the environment are used, and what answers there is left running', async () => {
  process.env.RABBITMQ_URL = process.env.WARREN_TEST_RABBITMQ_URL!;
  process.env.RABBITMQ_MANAGEMENT_URL = process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL!;
  process.env.DATABASE_URL = process.env.WARREN_TEST_DATABASE_URL!;

  const services = await startServices();
  expect(services).toMatchObject({
    rabbitmqUrl: process.env.RABBITMQ_URL,
    rabbitmqManagementUrl: process.env.RABBITMQ_MANAGEMENT_URL,
    databaseUrl: process.env.DATABASE_URL,
    origin: { rabbitmq: 'environment', postgres: 'environment' },
  });

  await services.stop();
  await checkRabbitmq(services.rabbitmqUrl);
  await checkRabbitmqManagement(services.rabbitmqManagementUrl);
  await checkPostgres(services.databaseUrl);
});

test.each([
  ['RABBITMQ_URL', 'amqp://user:secret@127.0.0.1'],
  ['DATABASE_URL', 'postgresql://user:secret@127.0.0.1'],
])('%s that does not answer is an error that names it and keeps the password', async (name, address) => {
  const [port] = await freePorts(1);
  process.env[name] = `${address}:${port}/warren`;

  const failure = await startServices().catch((error: Error) => error);
  expect(failure).toBeInstanceOf(Error);
  expect((failure as Error).message).toContain(`${name} (127.0.0.1:${port}) does not answer`);
  expect((failure as Error).message).not.toContain('secret');
});

test(
  'services of its own answer, and are gone after stop()',
  async () => {
    process.env.RABBITMQ_URL = process.env.WARREN_TEST_RABBITMQ_URL!;
    const services = await startServices({ ownOnly: true });
    expect(services.rabbitmqUrl).not.toBe(process.env.RABBITMQ_URL);
    await checkRabbitmq(services.rabbitmqUrl);
    await checkRabbitmqManagement(services.rabbitmqManagementUrl);
    await checkPostgres(services.databaseUrl);

    await Promise.all([services.stop(), services.stop()]);
    const urls = [services.rabbitmqUrl, services.rabbitmqManagementUrl, services.databaseUrl];
    expect(await Promise.all(urls.map(isListening))).toEqual([false, false, false]);
  },
  START_LIMIT_MS,
);

describe('what one command of a clone has started', () => {
  let folder: string;
  const started: ChildProcess[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'warren-shared-'));
  });
  afterEach(async () => {
    for (const child of started) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  });

  /** A program as an npm command of a clone runs it, in a folder of its own. */
  function start(...[program, ...args]: [string, ...string[]]): ChildProcess {
    const preload = `--import=${join(root, 'dist/scripts/find-services.js')}`;
    const child = spawn(process.execPath, [preload, join(root, program), ...args], {
      cwd: folder,
      env: { ...process.env, PORT: ports[0], WORKER_PORT: ports[1] },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(child);
    return child;
  }
  let ports: string[];
  const printed = async (...command: Parameters<typeof start>) => {
    const child = start(...command);
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      once(child, 'exit'),
    ]);
    return { stdout, stderr, code };
  };
  async function addressesOf(program: ChildProcess): Promise<string[]> {
    const urls: string[] = [];
    for await (const line of createInterface(program.stdout!)) {
      const [, name, url] = line.match(/^export (\w+)='(.*)'$/) ?? [];
      expect(name).toBe(VARIABLES[urls.length]);
      urls.push(url!);
      if (urls.length === VARIABLES.length) break;
    }
    return urls;
  }

  test(
    'is found by the others, and is gone when it ends or is killed',
    async () => {
      ports = (await freePorts(2)).map(String);
      const services = start('dist/scripts/services.js');
      const urls = await addressesOf(services);
      expect(await Promise.all(urls.map(isListening))).toEqual([true, true, true]);
      const note = join(folder, '.services', `${services.pid}.json`);
      expect((await stat(note)).mode & 0o777).toBe(0o600);

      const found = `npm run services (process ${services.pid})`;
      expect(await printed('dist/scripts/migrate.js')).toMatchObject({
        code: 0,
        stderr: `With the services of ${found}\n`,
      });
      expect(await addressesOf(start('dist/scripts/services.js'))).toEqual(urls);
      const app = start('dist/scripts/start.js');
      let output = '';
      for (const stream of [app.stdout!, app.stderr!]) stream.on('data', (chunk) => (output += chunk));
      await eventually(() => output.includes('Ready:'), 60_000);
      expect(output).toContain(`With the services of ${found}`);
      const [, dashboard] = /^The dashboard: (\S+)$/m.exec(output) ?? [];
      if (dashboard) expect((await fetch(dashboard)).ok).toBe(true);
      const listed = await printed('dist/apps/cli/main.js', 'workers', '--json');
      expect(JSON.parse(listed.stdout).items).toHaveLength(1);

      process.chdir(folder);
      const ofTests = await startServices({ mayShare: true }).finally(() => process.chdir(root));
      expect(VARIABLES.map((variable) => process.env[variable])).toEqual(urls);
      for (const name of VARIABLES) delete process.env[name];
      await ofTests.stop();
      expect(await Promise.all(urls.map(isListening))).toEqual([true, true, true]);

      // What the environment or a file names comes first, and services with other addresses do not fit to it. Editors on
      // Windows put a byte order mark before it.
      await writeFile(join(folder, '.env'), '\uFEFFDATABASE_URL=postgresql://nobody:x@127.0.0.1:1/none\n');
      expect((await printed('dist/scripts/migrate.js')).code).toBe(1);
      await rm(join(folder, '.env'));

      app.kill('SIGINT');
      expect(await once(app, 'exit')).toEqual([0, null]);
      services.kill('SIGKILL');
      await once(services, 'exit');
      await eventually(async () => !(await Promise.all(urls.map(isListening))).includes(true));
      expect((await printed('dist/scripts/migrate.js')).stderr).toContain(`${found} was killed`);
      await expect(stat(note)).rejects.toThrow('ENOENT');
    },
    START_LIMIT_MS,
  );
});

async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
