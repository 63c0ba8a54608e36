import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checkPostgres, checkRabbitmq, checkRabbitmqManagement, freePorts } from './services/addresses.js';
import { startServices } from './services.js';

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

test(
  'the program prints the addresses, and its services end even when it is killed',
  async () => {
    const program = spawn(process.execPath, ['dist/scripts/services.js'], {
      env: process.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const urls: string[] = [];
      for await (const line of createInterface(program.stdout)) {
        const [, name, url] = line.match(/^export (\w+)='(.*)'$/) ?? [];
        expect(name).toBe(VARIABLES[urls.length]);
        urls.push(url!);
        if (urls.length === VARIABLES.length) break;
      }
      expect(await Promise.all(urls.map(isListening))).toEqual([true, true, true]);

      program.kill('SIGKILL');
      await once(program, 'exit');
      while ((await Promise.all(urls.map(isListening))).includes(true)) await pause(50);
    } finally {
      program.kill('SIGKILL');
    }
  },
  START_LIMIT_MS,
);

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
