import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import * as own from '#contracts';
import { givenEnvironment } from '#testing/services';
import { abortWhenTold, Interruption, unlessAborted } from '../../scripts/ending.js';
import { startServices } from '../../scripts/services.js';
import { givenAppsWith } from '../support/apps-with.js';
import { apart, stayOnCore } from './apart.js';
import * as contracts from './contracts.js';
import { growth } from './growth.js';
import { http } from './http.js';
import { long } from './long.js';
import { peers } from './peers.js';
import { rates } from './rates.js';
import type { Stage, Suite } from './stage.js';

const SUITES: Record<string, Suite> = { peers, http, apart, rates, long, growth };

const USAGE = `npm run bench -- [suite] [options]

suites
  peers             beside amqplib alone, Nest's RMQ transport and BullMQ; this one when none is named
  http              the api, beside the same Fastify and Nest with a handler that does nothing
  apart             the api's latency while jobs that compute saturate the worker, and with the same work in the api
  rates             latency at 200, 1,000 and 4,000 jobs a second, beside amqplib alone and BullMQ with each write on disk
  long              throughput and latency while a transaction is held open, while others read, under more load
  growth            with more records, more waiting jobs, more workers, larger payloads, more queues

options
  --quick           less of everything: peers in under two minutes
  --long            long: ten minutes a phase rather than one
  --rounds N        so many rounds
  --only a,b        only these: peers and rates warren, nest, bullmq, bullmq-always; growth records, waiting, workers, payloads, queues
  --report FILE     writes the tables as Markdown too
  --json FILE       writes every figure of every round
  --chart FILE      draws a chart as SVG`;

const ending = new AbortController();
abortWhenTold(ending);
const log = (line: string) => console.error(line);

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    report: { type: 'string' },
    json: { type: 'string' },
    chart: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const [name = 'peers'] = positionals;
const suite = SUITES[name];
if (options.help || !suite) {
  console.log(USAGE);
  process.exitCode = options.help ? 0 : 2;
} else {
  try {
    await play(suite);
  } catch (error) {
    process.exitCode = error instanceof Interruption ? error.exitCode : 1;
    console.error((error as Error).stack);
  }
}
process.exit();

async function play(suite: Suite): Promise<void> {
  await givenAppsWith('bench');
  if (suite === apart) stayOnCore(0);
  // Never a broker or a database that has other things to do.
  const services = await startServices({ ownOnly: true, log });
  try {
    const stage: Stage = {
      services,
      environment: await givenEnvironment(Object.values({ ...own, ...contracts }), services),
      quick: options.quick,
      long: options.long,
      rounds: options.rounds ? Number(options.rounds) : undefined,
      only: options.only?.split(','),
      log,
      during: (task) => unlessAborted(ending.signal, task),
    };
    const { markdown, figures, chart } = await suite(stage);
    console.log(markdown);
    if (options.report) await writeFile(options.report, markdown);
    if (options.json) await writeFile(options.json, `${JSON.stringify(figures, null, 2)}\n`);
    if (options.chart && chart) await writeFile(options.chart, chart);
    await stage.environment.close();
  } finally {
    await services.stop();
  }
}
