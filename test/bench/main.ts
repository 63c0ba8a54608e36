import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { abortWhenTold, Interruption, unlessAborted } from '../../scripts/ending.js';
import { startServices } from '../../scripts/services.js';
import { givenEnvironment } from '../support/environment.js';
import { exchangeApps } from '../support/exchanged-apps.js';
import * as contracts from './contracts.js';
import { startRedis } from './redis.js';
import { describeMachine, type Report, toMarkdown } from './report.js';
import { type Extent, type Measures, playRound } from './round.js';
import { REFERENCE, systemsOn } from './systems.js';

const USAGE = `npm run bench -- [options]

  --quick           fewer jobs and rounds: under two minutes
  --rounds N        so many rounds
  --only a,b        only these systems beside ${REFERENCE}: warren, nest, bullmq
  --report FILE     writes the tables as Markdown too
  --json FILE       writes every figure of every round`;

const FULL: Extent = { jobs: 20_000, warmUp: 4_000, latencySeconds: 5 };
const QUICK: Extent = { jobs: 5_000, warmUp: 2_000, latencySeconds: 2 };

const ending = new AbortController();
abortWhenTold(ending);
const log = (line: string) => console.error(line);

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    report: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) console.log(USAGE);
else {
  try {
    await bench();
  } catch (error) {
    process.exitCode = error instanceof Interruption ? error.exitCode : 1;
    console.error((error as Error).message);
  }
}
process.exit();

async function bench(): Promise<void> {
  await exchangeApps('bench');
  // Never a broker or a database that has other things to do.
  const services = await startServices({ ownOnly: true, log });
  const redis = await startRedis();
  try {
    const environment = await givenEnvironment(Object.values(contracts), services);
    const wanted = options.only?.split(',');
    const systems = systemsOn(environment, redis?.url).filter(
      ({ id }) => id === REFERENCE || !wanted || wanted.includes(id),
    );
    const extent = options.quick ? QUICK : FULL;
    const report: Report = {
      at: new Date().toISOString().slice(0, 16).replace('T', ' '),
      machine: describeMachine(),
      extent,
      systems: systems.map(({ id, title }) => ({ id, title, rounds: [] })),
      skipped: redis ? [] : ['BullMQ was not measured: there is no redis-server on this machine'],
    };
    const rounds = Number(options.rounds ?? (options.quick ? 2 : 5));
    for (let round = 0; round < rounds; round++) {
      // Another order in each round, so that nobody always comes after the same neighbour.
      for (let turn = 0; turn < systems.length; turn++) {
        const index = (turn + round) % systems.length;
        const system = systems[index] as (typeof systems)[number];
        const measures = await unlessAborted(ending.signal, playRound(system, extent));
        report.systems[index]?.rounds.push(measures);
        log(`round ${round + 1}, ${system.id}: ${describe(measures)}`);
      }
    }
    const text = toMarkdown(report);
    console.log(text);
    if (options.report) await writeFile(options.report, text);
    if (options.json) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
    await environment.close();
  } finally {
    await Promise.all([services.stop(), redis?.stop()]);
  }
}

const describe = ({ enqueue, bulk, drain, both, p50, cpu, memory }: Measures) =>
  Object.entries({ enqueue, bulk, drain, both, p50, cpu, memory })
    .map(([name, value]) => `${name} ${value === undefined ? '–' : Number(value.toPrecision(3))}`)
    .join(', ');
