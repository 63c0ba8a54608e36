import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as own from '#contracts';
import type { AnyContract } from '#jobs';
import { type Environment, givenEnvironment } from '#testing/services';
import { appsOf, givenAppsWith } from '../support/apps-with.js';
import { measuredIn } from './measured.contract.js';
import { describeMachine, median, table } from './report.js';
import { type Extent, handled, type Measures, perSecond, playRound } from './round.js';
import type { Findings, Stage } from './stage.js';
import { startApi, warrenOn } from './systems.js';

/** One row of a table: what there was of the thing that grows, and what was found. */
type Row = Record<string, number | string>;

/** Grows one thing, all else being as in the other suites. @returns a row for each step. */
type Part = (stage: Stage) => AsyncGenerator<Row>;

const PARTS: Record<string, { title: string; part: Part }> = {
  records: { title: 'Records in the table', part: records },
  waiting: { title: 'Jobs that wait in the queue', part: waiting },
  workers: { title: 'Worker processes', part: workers },
  payloads: { title: 'Bytes of payload', part: payloads },
  queues: { title: 'Queues, each with a contract of its own', part: queues },
};

/** What becomes of throughput, latency and memory as things grow, one at a time. */
export async function growth(stage: Stage): Promise<Findings> {
  const found: Record<string, Row[]> = {};
  for (const [name, { part }] of Object.entries(PARTS)) {
    if (stage.only && !stage.only.includes(name)) continue;
    const rows: Row[] = [];
    found[name] = rows;
    for (const steps = part(stage); ; ) {
      const { value: row, done } = await stage.during(steps.next());
      if (done) break;
      rows.push(row);
      stage.log(`${name}: ${JSON.stringify(row)}`);
    }
  }
  const tables = Object.entries(found).flatMap(([name, rows]) => [
    '',
    `### ${PARTS[name]?.title}`,
    '',
    ...table(rows),
  ]);
  return { markdown: [`${describeMachine()}.`, ...tables, ''].join('\n'), figures: found };
}

async function* records(stage: Stage): AsyncGenerator<Row> {
  const { environment, quick } = stage;
  let filled = 0;
  for (const count of quick ? [1_000, 50_000] : [1_000, 100_000, 1_000_000, 5_000_000]) {
    // As they lie after a while: mostly succeeded, in the order of their ids, with the statistics of autovacuum.
    await environment.sql(FILL, [filled + 1, count]);
    filled = count;
    await environment.sql('vacuum analyze jobs');
    yield {
      records: count,
      ...throughput(await playRound(warrenOn(environment), extentOf(stage))),
      ...(await looks(environment)),
    };
  }
  await environment.sql('truncate jobs, batches cascade');
}

/** Records from $1 to $2, one every 10 ms since a day ago, with ids that tell the time as those of real ones do. */
const FILL = `
  insert into jobs (id, name, queue, state, payload, result, attempt, claim, max_attempts, worker,
                    created_at, run_at, started_at, finished_at)
  select (left(ms, 8) || '-' || right(ms, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
         'bench.measured', 'bench', case when n % 1000 = 0 then 'dead' else 'succeeded' end,
         json_build_object('at', n, 'pad', repeat('x', 170)), 'null', 1, 1, 3, 1, at, at, at, at
  from generate_series($1::bigint, $2::bigint) n
  cross join lateral (select now() - interval '1 day' + n * interval '10 milliseconds' as at) t
  cross join lateral (select lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as ms) i`;

/** How long the api takes to show things, in milliseconds. */
async function looks(environment: Environment): Promise<Row> {
  const api = await startApi(environment);
  const time = async (path: string) => {
    const times: number[] = [];
    for (let turn = 0; turn < 11; turn++) {
      const from = performance.now();
      const answer = await fetch(api.url + path);
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      await answer.arrayBuffer();
      times.push(performance.now() - from);
    }
    return round(median(times));
  };
  const row = {
    'GET /jobs ms': await time('/jobs?limit=50'),
    'dead ms': await time('/jobs?state=dead&limit=50'),
    'GET /queues ms': await time('/queues'),
  };
  await api.child.end();
  return row;
}

async function* waiting({ environment, quick }: Stage): AsyncGenerator<Row> {
  const measured = 10_000;
  for (const count of quick ? [10, 5_000] : [10, 10_000, 100_000, 1_000_000]) {
    const system = warrenOn(environment);
    const [producer, worker] = [await system.producer(), await system.worker()];
    worker.suspend();
    await producer.tell({ do: 'bulk', jobs: count, size: 500 });
    const enqueued = await producer.tell({ do: 'enqueue', jobs: measured, window: 1_000 });
    const atProducer = await producer.tell({ do: 'usage' });
    worker.resume();
    const from = Number(process.hrtime.bigint() / 1_000n);
    const { last } = await handled(worker, count + measured);
    const usage = await worker.tell({ do: 'usage' });
    await Promise.all([producer.end(), worker.end()]);
    await environment.sql('truncate jobs, batches cascade');
    yield {
      waiting: count,
      'enqueue/s': round(perSecond(measured, enqueued?.from ?? 0, enqueued?.to ?? 0)),
      'drain/s': round(perSecond(count + measured, from, last)),
      'producer MiB': round(atProducer?.rssMiB ?? 0),
      'worker MiB': round(usage?.rssMiB ?? 0),
    };
  }
}

async function* workers(stage: Stage): AsyncGenerator<Row> {
  for (const count of stage.quick ? [1, 2] : [1, 2, 3, 4]) {
    yield {
      workers: count,
      ...throughput(await playRound(warrenOn(stage.environment, { workers: count }), extentOf(stage))),
    };
  }
}

async function* payloads(stage: Stage): AsyncGenerator<Row> {
  for (const bytes of stage.quick ? [200, 20_000] : [200, 2_000, 20_000, 131_000]) {
    const { jobs, ...extent } = extentOf(stage);
    // A gigabyte would measure the disk.
    const fewer = Math.max(1_000, Math.min(jobs, Math.floor(200_000_000 / bytes)));
    const system = warrenOn(stage.environment, { env: { PAD: String(bytes - 30) } });
    yield { bytes, ...throughput(await playRound(system, { ...extent, warmUp: fewer / 5, jobs: fewer })) };
    await stage.environment.sql('truncate jobs, batches cascade');
  }
}

async function* queues(stage: Stage): AsyncGenerator<Row> {
  for (const count of stage.quick ? [1, 20] : [1, 20, 200]) {
    const measured = Array.from({ length: count }, (_, index) => measuredIn(index));
    const environment = await givenEnvironment(
      [...Object.values<AnyContract>(own), ...measured],
      stage.services,
    );
    await exchangeContracts(count);
    // As many jobs in flight as with one queue of the other suites.
    const env = { WORKER_PREFETCH: String(Math.max(2, Math.ceil(500 / count))) };
    yield { queues: count, ...throughput(await playRound(warrenOn(environment, { env }), extentOf(stage))) };
    await environment.close();
  }
  await givenAppsWith('bench');
}

/** Gives the built apps so many contracts and handlers in place of those of the suite. */
async function exchangeContracts(count: number): Promise<void> {
  const dist = join(appsOf('bench'), 'dist');
  const each = (line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join('\n');
  await writeFile(
    join(dist, 'libs/contracts/src/index.js'),
    `export * from './index.own.js';\nimport { measuredIn } from '../../../test/bench/measured.contract.js';\n${each((index) => `export const Q${index} = measuredIn(${index});`)}\n`,
  );
  await writeFile(
    join(dist, 'apps/worker/src/handlers/index.js'),
    `import * as contracts from '#contracts';\nimport { handlerOf } from '../../../../test/bench/measured.handler.js';\n${each((index) => `export const H${index} = handlerOf(contracts.Q${index});`)}\n`,
  );
}

const extentOf = ({ quick }: Stage): Extent =>
  quick
    ? { jobs: 3_000, warmUp: 1_000, latencySeconds: 1 }
    : { jobs: 15_000, warmUp: 4_000, latencySeconds: 5 };

const throughput = ({ enqueue, bulk, drain, both, p50, p99, memory }: Measures): Row => ({
  'enqueue/s': round(enqueue),
  'many/s': round(bulk ?? 0),
  'drain/s': round(drain),
  'both/s': round(both),
  'p50 ms': round(p50),
  'p99 ms': round(p99),
  'worker MiB': round(memory),
});

const round = (value: number) => (value >= 100 ? Math.round(value) : Number(value.toFixed(1)));
