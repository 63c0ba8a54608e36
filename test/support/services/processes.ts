import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describeSettings } from '#config';
import { eventually } from '#testing';
import type { Environment } from './environment.js';
import { builtApps, root } from './root.js';

/** A machine that does much else at the same time takes its time to start a process. */
const READY_LIMIT_MS = 60_000;

/** Keeps what a `.env` of this machine says from the apps: an empty value counts as not set, and wins over the file. */
const UNSET = Object.fromEntries(describeSettings().map(({ name }) => [name, '']));

/** One of the apps as a process of its own, built, as it is deployed. */
export interface AppProcess {
  url: string;
  child: ChildProcess;
  /** Everything that it wrote so far. */
  output(): string;
  /**
   * Waits until it answers on /health/ready. An api does so without a broker: it is also waited for until it can publish,
   * unless `withBroker` is false. What it accepts before that is left to the relay of a worker.
   */
  ready(options?: { withBroker?: boolean }): Promise<AppProcess>;
  /** Its exit code, or the signal that ended it, once it has ended. */
  ended: Promise<number | NodeJS.Signals>;
  /** Sends a signal and waits for the end. @returns the exit code, or the signal that ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/**
 * Starts `dist/apps/<app>/main.js`, or a program of the tests' own, on a free port unless one is given. The apps know the
 * contracts and handlers of the repository, and those of the tests: `test/samples`.
 *
 * @param nodeOptions what Node is given before the name of the app. @param args what the app is given. @param folder
 * where it was built; what the run made when absent.
 */
export async function givenProcess(
  app: 'api' | 'worker' | `test/${string}.js`,
  environment: Pick<Environment, 'rabbitmqUrl' | 'databaseUrl'>,
  settings: Record<string, string> = {},
  {
    port,
    nodeOptions = [],
    args = [],
    folder = app.endsWith('.js') ? root : builtApps,
  }: { port?: number; nodeOptions?: string[]; args?: string[]; folder?: string } = {},
): Promise<AppProcess> {
  port ??= await freePort();
  const main = app.endsWith('.js') ? app : `dist/apps/${app}/main.js`;
  const child = spawn(process.execPath, [...nodeOptions, main, ...args], {
    cwd: folder,
    env: {
      ...UNSET,
      PATH: process.env.PATH,
      RABBITMQ_URL: environment.rabbitmqUrl,
      DATABASE_URL: environment.databaseUrl,
      [app === 'api' ? 'PORT' : 'WORKER_PORT']: String(port),
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'close').then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  const url = `http://127.0.0.1:${port}`;

  const self: AppProcess = {
    url,
    child,
    ended,
    output: () => output,
    ready: async ({ withBroker = app === 'api' } = {}) => {
      const died = ended.then((code) => {
        throw new Error(`The ${app} ended with ${code}:\n${output}`);
      });
      const isReady = async () =>
        (await fetch(`${url}/health/ready`)).ok &&
        (!withBroker || (await canPublish(url, settings.API_KEYS)));
      const answers = eventually(isReady, READY_LIMIT_MS).catch((error) => {
        throw new Error(`The ${app} did not become ready: ${error.message}\n${output}`);
      });
      await Promise.race([answers, died]);
      return self;
    },
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
  return self;
}

/** Whether an app says so of itself among its metrics. */
async function canPublish(url: string, apiKeys = ''): Promise<boolean> {
  const [key] = apiKeys.split(',');
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch(`${url}/metrics`, { headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`/metrics answers ${response.status}: ${text}`);
  return /^broker_connection_up 1$/m.test(text);
}

/** A port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
