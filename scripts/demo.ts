import { randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { counted, grouped, maskUrl } from '#config';
import { AppError, Apps, dashboardOf } from './apps.js';
import { Client } from './demo/client.js';
import { showFeatures } from './demo/features.js';
import { Progress } from './demo/progress.js';
import { openMailbox, openSubscriber } from './demo/receivers.js';
import { Screen } from './demo/screen.js';
import { type Evidence, summarize } from './demo/summary.js';
import { makePictures, PICTURES, planJobs, SALES } from './demo/workload.js';
import { seedDemoSales } from './demo-sales.js';
import { abortWhenTold, Interruption, unlessAborted } from './ending.js';
import { migrate } from './migration.js';
import { freePorts } from './services/addresses.js';
import { announce } from './services/running.js';
import { isOurs, type Services, startServices } from './services.js';

const HELP = `npm run demo [-- OPTIONS]

Starts a broker and a database, the api and a worker, enqueues more than 1,000 real jobs over HTTP, shows live what
becomes of them, sums it up and stops everything again.

  --keep   leave everything up after the summary, until Ctrl-C, and print the addresses
  --help   print this

RABBITMQ_URL and DATABASE_URL in the environment name a broker and a database to use instead; they must hold no
unfinished jobs. NO_COLOR and CI are respected.
`;

/** Several times what the jobs take on two cores. */
const JOBS_LIMIT_MS = 90_000;
/** The worker's own limit, and a margin. */
const SHUTDOWN_GRACE_S = 5;
const STOP_LIMIT_MS = 10_000;
/** How much of an app's log is shown when the app fails. */
const LOG_LINES = 10;
const LOG_COLUMNS = 300;

/** What the demo's acts have in common. */
interface Run {
  screen: Screen;
  ending: AbortController;
  signal: AbortSignal;
  /** How to stop what was started, in the order of its start. */
  stops: (() => Promise<unknown>)[];
  /** Takes logs and files. */
  folder: string;
}

/** Everything that is up when the jobs begin. */
interface Stage extends Evidence {
  services: Services;
  client: Client;
  progress: Progress;
  pictures: string[];
  apiUrl: string;
  workerUrl: string;
}

/** @returns the exit code. */
async function demo(keep: boolean): Promise<number> {
  const screen = new Screen();
  const ending = new AbortController();
  abortWhenTold(ending);
  const folder = await mkdtemp(join(tmpdir(), 'warren-demo-'));
  const run: Run = { screen, ending, signal: ending.signal, stops: [], folder };
  let exitCode = 1;
  let isFolderOfUse = false;
  try {
    const stage = await setUp(run);
    await work(run, stage);
    const isAsExpected = await sumUp(run, stage);
    isFolderOfUse = !isAsExpected;
    exitCode = isAsExpected ? 0 : 1;
    if (keep) await stayUp(run, stage);
  } catch (error) {
    // Once the demo is ending, whatever fails does so for that reason.
    const reason = ending.signal.aborted ? ending.signal.reason : error;
    screen.endProgress();
    if (reason instanceof Interruption) {
      screen.line(`${reason.message}: stopping everything`);
      exitCode = exitCode === 0 ? 0 : reason.exitCode;
    } else {
      screen.line(`\n  ${screen.paint('red', '✘')} ${reason.message}`);
      if (reason instanceof AppError) screen.line(await lastLines(logFile(run, reason.app)));
      isFolderOfUse = true;
      exitCode = 1;
    }
  } finally {
    for (const stop of run.stops.reverse()) await stop();
    if (isFolderOfUse) screen.line(`    The logs of the api and the worker are in ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
  return exitCode;
}

async function setUp(run: Run): Promise<Stage> {
  const { screen, ending, signal, stops, folder } = run;
  const filesDir = join(folder, 'files');
  screen.line(`\n  ${screen.paint('bold', 'Warren demo')}\n`);

  const services = await screen.step('Broker and database', (log) =>
    unlessAborted(signal, startServices({ log })),
  );
  stops.push(services.stop);

  const addresses = { DATABASE_URL: services.databaseUrl, RABBITMQ_URL: services.rabbitmqUrl };
  await screen.step('Schema and topology', () =>
    unlessAborted(signal, migrate({ ...addresses, RABBITMQ_URL: addresses.RABBITMQ_URL.split(',') })),
  );

  const [pictures] = await screen.step(
    `${grouped(SALES)} sales to report on and ${PICTURES} pictures to resize`,
    () =>
      unlessAborted(
        signal,
        Promise.all([makePictures(filesDir), seedDemoSales(services.databaseUrl, SALES)]),
      ),
  );

  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const mailbox = await openMailbox();
  stops.push(mailbox.close);
  const subscriber = await openSubscriber(secret);
  stops.push(subscriber.close);

  const [apiPort, workerPort] = (await freePorts(2)) as [number, number];
  // Only what is named here reaches the apps: no other setting of the environment, and no .env, as the folder has none.
  // Without keys the api listens on loopback only, where anyone who looks at the dashboard may do everything.
  const env = {
    ...addresses,
    PATH: process.env.PATH,
    SMTP_URL: mailbox.url,
    FILES_DIR: filesDir,
    WEBHOOK_SECRET: secret,
    ALLOW_PRIVATE_TARGETS: 'true',
    SHUTDOWN_GRACE: `${SHUTDOWN_GRACE_S}s`,
  };
  const apps = new Apps((error) => ending.abort(error));
  stops.push(() => apps.stop(STOP_LIMIT_MS));
  const start = (app: 'api' | 'worker', port: number) =>
    screen.step(`The ${app} on port ${port}`, () => {
      const output = openSync(logFile(run, app), 'a');
      return apps.start(app, { port, env, output, cwd: folder }, signal);
    });

  const apiUrl = await start('api', apiPort);
  const client = new Client(apiUrl, signal);
  const progress = await Progress.begin(client, signal);
  const workerUrl = await start('worker', workerPort);
  return { services, client, progress, pictures, apiUrl, workerUrl, mailbox, subscriber, filesDir };
}

/** Enqueues the jobs and shows how far they are, until all have ended. */
async function work({ screen, ending }: Run, { progress, pictures, subscriber }: Stage): Promise<void> {
  const planned = planJobs(pictures, subscriber.url);
  screen.line();
  progress.enqueue(planned).catch((error) => ending.abort(error));
  const deadline = Date.now() + JOBS_LIMIT_MS;
  for await (const { queues, ended } of progress.follow()) {
    const isLast = ended === planned.length;
    screen.progress(queues, isLast);
    if (isLast) return;
    if (Date.now() > deadline) {
      throw new Error(
        `${counted(planned.length - ended, 'job has', 'jobs have')} not ended after ${JOBS_LIMIT_MS / 1_000} s`,
      );
    }
  }
}

/** Prints what became of the jobs. @returns whether all is as expected. */
async function sumUp({ screen }: Run, stage: Stage): Promise<boolean> {
  const planned = planJobs(stage.pictures, stage.subscriber.url);
  const { lines, problems } = await summarize(await stage.progress.jobs(), planned, stage, screen.paint);
  screen.line();
  for (const line of lines) screen.line(line);
  for (const [title, { fact, isAsExpected }] of Object.entries(await showFeatures(stage.client))) {
    screen.line(`  ${screen.paint('dim', title.padEnd(10))}${fact}`);
    if (!isAsExpected) problems.push(`${title}: ${fact}`);
  }
  screen.line();
  if (problems.length === 0) {
    screen.line(`  ${screen.paint('green', '✔')} All is as expected.\n`);
    return true;
  }
  screen.line(`  ${screen.paint('red', '✘')} Not as expected:`);
  for (const problem of problems) screen.line(`    ${problem}`);
  return false;
}

/** Prints the addresses and waits until the demo is told to end. */
async function stayUp({ screen, signal, stops }: Run, stage: Stage): Promise<never> {
  const { services, apiUrl, workerUrl } = stage;
  if (isOurs(services)) {
    const conceal = announce('npm run demo', services);
    stops.push(async () => conceal());
  }
  const { origin, rabbitmqUrl, rabbitmqManagementUrl, databaseUrl } = services;
  // Passwords made here go with the demo; others are nobody's business.
  const shown = (url: string, by: string) => (by === 'environment' ? maskUrl(url) : url);
  const addresses = {
    dashboard: await dashboardOf(apiUrl),
    api: apiUrl,
    worker: `${workerUrl}/health/ready`,
    database: shown(databaseUrl, origin.postgres),
    broker: shown(rabbitmqUrl, origin.rabbitmq),
    management: shown(rabbitmqManagementUrl, origin.rabbitmq),
  };
  for (const [name, address] of Object.entries(addresses)) {
    if (address) screen.line(`  ${screen.paint('dim', name.padEnd(12))}${address}`);
  }
  screen.line(`
  Try:
    curl -i ${apiUrl}/jobs -H 'Content-Type: application/json' \\
      -d '{"name": "demo.flaky", "payload": {"failures": 1}}'
    curl ${apiUrl}/queues
    npm run jobs -- queues

  Ctrl-C stops everything.`);
  return unlessAborted(signal, new Promise<never>(() => undefined));
}

const logFile = ({ folder }: Run, app: string) => join(folder, `${app}.log`);

async function lastLines(file: string): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n').slice(-LOG_LINES);
  return lines.map((line) => `    ${line.slice(0, LOG_COLUMNS)}`).join('\n');
}

function readOptions(): { keep: boolean; help: boolean } {
  try {
    const { values } = parseArgs({
      options: { keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return { keep: values.keep ?? false, help: values.help ?? false };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

const { keep, help } = readOptions();
if (help) process.stdout.write(HELP);
else process.exit(await demo(keep));
