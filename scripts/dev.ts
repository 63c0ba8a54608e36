import { parseArgs } from 'node:util';
import { counted, loadSettings } from '#config';
import { dashboardOf } from './apps.js';
import { receiveMails } from './dev/mail.js';
import { RestartingApps } from './dev/restarting-apps.js';
import { type Told, watchSources } from './dev/sources.js';
import { inForeground, type Stage } from './foreground.js';

/**
 * `npm run dev`: services as needed, the migration, the api and the worker, compiled and started again when a file has
 * changed; a debugger can attach to both. In the foreground until SIGINT or SIGTERM.
 */
const USAGE = `npm run dev [-- --inspect PORT]

  --inspect PORT   where a debugger attaches to the api, 9229 unless given; the worker has the port after it`;

const STDOUT = 1;
/** How long jobs in flight hold up a change, unless the setting says otherwise. */
const GRACE = '1s';
/** What an app may take to end after that. One that stands at a breakpoint does not end by itself. */
const STOP_MARGIN_MS = 1_000;
/** How wide the names of addresses are printed. */
const NAME_WIDTH = 12;

const inspector = readInspector();
await inForeground(
  'npm run dev',
  ({ PORT, WORKER_PORT }) => ({
    PORT,
    WORKER_PORT,
    '--inspect': inspector,
    '--inspect of the worker': inspector + 1,
  }),
  develop,
);

async function develop({ settings, env, ending, stops }: Stage): Promise<void> {
  const places: [string, string][] = [
    ['Docs', `http://127.0.0.1:${settings.PORT}/docs`],
    ['Debuggers', `127.0.0.1:${inspector} (api), 127.0.0.1:${inspector + 1} (worker)`],
    // One a line, for `npm run remove` to take out.
    ['Mails', await receiveMails(env, stops)],
  ];
  env.SHUTDOWN_GRACE ||= GRACE;
  const started = (port: number, inspectorPort: number) => ({
    port,
    env,
    output: STDOUT,
    nodeOptions: [`--inspect=127.0.0.1:${inspectorPort}`, '--inspect-publish-uid=http'],
  });
  const apps = new RestartingApps(
    { api: started(settings.PORT, inspector), worker: started(settings.WORKER_PORT, inspector + 1) },
    loadSettings(env).SHUTDOWN_GRACE + STOP_MARGIN_MS,
    (block) => console.log(block),
  );
  stops.push(() => apps.stop());

  const onTold = async (told: Told) => {
    if ('errors' in told) return console.log(`${told.errors}${counted(told.count, 'error')} in the sources`);
    if ((await apps.renew(told.files)) && places.length > 0) await tell(settings.PORT, places.splice(0));
  };
  const fail = (error: Error) => ending.abort(error);
  const end = watchSources((told) => void onTold(told).catch(fail), fail);
  stops.push(async () => end());
}

/** Prints, once, where everything is. */
async function tell(port: number, places: [string, string][]): Promise<void> {
  const dashboard = await dashboardOf(`http://127.0.0.1:${port}`);
  const all = dashboard ? [['Dashboard', dashboard] as const, ...places] : places;
  for (const [name, place] of all) console.log(`${name.padEnd(NAME_WIDTH)}${place}`);
  console.log('Ready: save a file and it runs. Ctrl-C stops everything that this command has started.');
}

function readInspector(): number {
  try {
    const { values } = parseArgs({ options: { inspect: { type: 'string', default: '9229' } } });
    const port = Number(values.inspect);
    if (Number.isInteger(port) && port > 0 && port < 65_535) return port;
    console.error(`--inspect must be a port, not "${values.inspect}"\n\n${USAGE}`);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
  }
  process.exit(2);
}
