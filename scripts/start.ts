import { Apps, dashboardOf } from './apps.js';
import { unlessAborted } from './ending.js';
import { inForeground } from './foreground.js';
import { migrate } from './migration.js';

/** `npm start`: services as needed, the migration, the api and the worker, in the foreground until SIGINT or SIGTERM. */
const STDOUT = 1;
/** What an app may take to end after its jobs in flight had their time. */
const STOP_MARGIN_MS = 10_000;

await inForeground(
  'npm start',
  ({ PORT, WORKER_PORT }) => ({ PORT, WORKER_PORT }),
  async ({ settings, env, ending, stops }) => {
    const { signal } = ending;
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
  },
);
