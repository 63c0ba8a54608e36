import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { abortWhenTold, Interruption, unlessAborted } from '../../scripts/ending.js';
import { givenAppsWith } from '../support/apps-with.js';
import { type Fault, play, type Result } from './fault.js';
import { allFaults } from './faults/index.js';
import { toMarkdown, toProblems, toTable } from './report.js';
import { soak } from './soak.js';
import { Stage } from './stage.js';

const USAGE = `npm run test:faults -- [options]

  --only F1,F5      only these faults
  --quick           only those that run with npm test as well
  --list            names the faults and ends
  --minutes N       soak: random faults under load for so long
  --seed N          with --minutes: the same faults in the same order again
  --report FILE     writes the table as Markdown too`;

const ending = new AbortController();
abortWhenTold(ending);
const { signal } = ending;
const stages = new Map<number, Stage>();
const log = (line: string) => console.error(line);

try {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) console.log(USAGE);
  else if (values.list) for (const { id, title } of allFaults) console.log(id.padEnd(5), title);
  else process.exitCode = await run(values);
} catch (error) {
  if (error instanceof Interruption) process.exitCode = error.exitCode;
  else process.exitCode = 1;
  console.error((error as Error).message);
} finally {
  await Promise.all([...stages.values()].map((stage) => stage.close()));
}
process.exit();

interface Options {
  only?: string;
  quick: boolean;
  minutes?: string;
  seed?: string;
  report?: string;
}

async function run(options: Options): Promise<number> {
  const startedAt = Date.now();
  const results: Result[] = [];
  await givenAppsWith('faults');
  try {
    if (options.minutes !== undefined) {
      const seed = Number(options.seed ?? Date.now() % 1_000_000);
      results.push(await soak(await stageOf(1), Number(options.minutes), seed, log, signal));
    } else {
      for (const fault of choose(options)) {
        log(`${fault.id}: ${fault.title}`);
        const result = await unlessAborted(signal, play(fault, await stageOf(fault.nodes ?? 1)));
        log(
          `  ${result.skipped ?? (result.problems.length > 0 ? 'FAILED' : 'ok')}, ${result.seconds.toFixed(0)} s`,
        );
        for (const problem of result.problems) log(`  ${problem}`);
        results.push(result);
      }
    }
  } finally {
    const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1);
    const title = `Faults: ${results.length} in ${minutes} minutes`;
    console.log(`\n${title}\n\n${toTable(results)}\n`);
    for (const problem of toProblems(results)) console.log(problem);
    if (options.report) await writeFile(options.report, toMarkdown(results, title));
  }
  return results.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

function choose({ only, quick }: Options): Fault[] {
  const ids = only?.split(',').map((id) => id.trim());
  const unknown = ids?.filter((id) => !allFaults.some((fault) => fault.id === id)) ?? [];
  if (unknown.length > 0) throw new Error(`No fault is called ${unknown.join(', ')}; --list names them all`);
  return allFaults.filter((fault) => (ids ? ids.includes(fault.id) : !quick || fault.quick));
}

/** Broker and database, started when the first fault needs them. One stage stands at a time. */
async function stageOf(nodes: number): Promise<Stage> {
  let stage = stages.get(nodes);
  if (!stage) {
    for (const [count, other] of stages) {
      await other.close();
      stages.delete(count);
    }
    stage = await Stage.open(nodes, log);
    stages.set(nodes, stage);
  }
  return stage;
}
