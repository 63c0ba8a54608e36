import { once } from 'node:events';
import { createServer } from 'node:net';
import { loadSettings, type Settings } from '#config';
import { Apps, dashboardOf } from './apps.js';
import { abortWhenTold, Interruption, unlessAborted } from './ending.js';
import { migrate } from './migration.js';
import { isOurs, startServices } from './services.js';

/**
 * `npm start`: services as needed, the migration, the api and the worker, in the foreground until SIGINT or SIGTERM.
 * The settings are those of the apps, from the environment and `.env`.
 */
const STDOUT = 1;
/** What an app may take to end after its jobs in flight had their time. */
const STOP_MARGIN_MS = 10_000;

const ending = new AbortController();
abortWhenTold(ending);
const { signal } = ending;
const stops: (() => Promise<void>)[] = [];
let exitCode = 0;

try {
  await checkPorts(loadSettings());

  const services = await unlessAborted(
    signal,
    startServices({ log: (line) => console.log(line), shareAs: 'npm start' }),
  );
  stops.push(() => services.stop());
  const env = {
    ...process.env,
    RABBITMQ_URL: services.rabbitmqUrl,
    DATABASE_URL: services.databaseUrl,
  };
  if (isOurs(services)) {
    console.log('These are empty and go with this command: to keep jobs, set RABBITMQ_URL and DATABASE_URL');
  }
  const settings = loadSettings(env);
  await unlessAborted(
    signal,
    migrate(settings, (line) => console.log(line)),
  );

  const apps = new Apps((error) => ending.abort(error));
  stops.push(() => apps.stop(settings.SHUTDOWN_GRACE + STOP_MARGIN_MS));
  const [api, worker] = await Promise.all([
    apps.start('api', { port: settings.PORT, env, output: STDOUT }, signal),
    apps.start('worker', { port: settings.WORKER_PORT, env, output: STDOUT }, signal),
  ]);
  const dashboard = await dashboardOf(api);
  if (dashboard) console.log(`The dashboard: ${dashboard}`);
  console.log(`Ready: the api on ${api}, the worker's health on ${worker}/health/ready. Ctrl-C ends both.`);
  await unlessAborted(signal, new Promise<never>(() => undefined));
} catch (error) {
  if (error instanceof Interruption) console.log(`${error.message}: stopping`);
  else console.error((error as Error).message);
  // To be told to end is how this command ends well.
  exitCode = error instanceof Interruption ? 0 : 1;
} finally {
  for (const stop of stops.reverse()) await stop();
}
process.exit(exitCode);

/** @throws Error when something else listens where the apps are to. */
async function checkPorts({ PORT, WORKER_PORT }: Settings): Promise<void> {
  if (PORT === WORKER_PORT) {
    throw new Error(`PORT and WORKER_PORT are both ${PORT}: set one of them to another port`);
  }
  for (const [name, port] of Object.entries({ PORT, WORKER_PORT })) {
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
