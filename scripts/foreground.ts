import { once } from 'node:events';
import { createServer } from 'node:net';
import { loadSettings, type Settings } from '#config';
import { abortWhenTold, Interruption, unlessAborted } from './ending.js';
import { isOurs, startServices } from './services.js';

/** What a command works with that runs in the foreground until it is told to end. */
export interface Stage {
  settings: Settings;
  /** What its processes are given: its own environment, with the addresses of the services. */
  env: NodeJS.ProcessEnv;
  /** Ends the command, with an error as its reason when something failed. */
  ending: AbortController;
  /** How to stop what was started, in the order of its start. */
  stops: (() => Promise<unknown>)[];
}

/**
 * Runs a command with a broker and a database, as needed, until SIGINT or SIGTERM; then stops what it started, and ends
 * the process. The settings are those of the apps, from the environment and `.env`.
 *
 * @param command such as `npm start`; other commands of the clone say it when they use its services.
 * @param portsOf what must be free, by what a message is to call it.
 * @param action starts the rest, and returns when it stands.
 */
export async function inForeground(
  command: string,
  portsOf: (settings: Settings) => Record<string, number>,
  action: (stage: Stage) => Promise<void>,
): Promise<never> {
  const ending = new AbortController();
  abortWhenTold(ending);
  const { signal } = ending;
  const stops: Stage['stops'] = [];
  let exitCode = 0;
  try {
    await checkPorts(portsOf(loadSettings()));
    const services = await unlessAborted(
      signal,
      startServices({ log: (line) => console.log(line), shareAs: command }),
    );
    stops.push(() => services.stop());
    const { rabbitmqUrl: RABBITMQ_URL, databaseUrl: DATABASE_URL } = services;
    const env = { ...process.env, RABBITMQ_URL, DATABASE_URL };
    if (isOurs(services)) {
      console.log(
        'These are empty and go with this command: to keep jobs, set RABBITMQ_URL and DATABASE_URL',
      );
    }
    await action({ settings: loadSettings(env), env, ending, stops });
    await unlessAborted(signal, new Promise<never>(() => undefined));
  } catch (error) {
    if (error instanceof Interruption) console.log(`${error.message}: stopping`);
    else console.error((error as Error).message);
    // To be told to end is how such a command ends well.
    exitCode = error instanceof Interruption ? 0 : 1;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
  process.exit(exitCode);
}

/** @throws Error when something else listens on one of the ports, or two of them are the same. */
async function checkPorts(ports: Record<string, number>): Promise<void> {
  const names = new Map<number, string>();
  for (const [name, port] of Object.entries(ports)) {
    const other = names.get(port);
    if (other) throw new Error(`${other} and ${name} are both ${port}: set one of them to another port`);
    names.set(port, name);
    const server = createServer().listen(port, '0.0.0.0');
    try {
      await once(server, 'listening');
    } catch (error) {
      throw new Error(
        `Port ${port} cannot be used (${(error as NodeJS.ErrnoException).code}): stop what listens there, or set ${name} to another port`,
        { cause: error },
      );
    }
    server.close();
    await once(server, 'close');
  }
}
