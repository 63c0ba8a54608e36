import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Child, Workers } from './child.js';
import { sumOf } from './child.js';
import { now } from './protocol.js';
import { describeMachine, describeServices, table } from './report.js';
import { quantileOf } from './round.js';
import type { Findings, Stage } from './stage.js';
import { warrenOn } from './systems.js';

/** Jobs enqueued and not handled yet, all the time: as many as keep producer and worker busy, and no queue behind them. */
const WINDOW = 3_000;
const POLL_MS = 5;
/** Throughput is also told for the worst of such spans. */
const SPAN_SECONDS = 5;
const READERS = 4;
/** How long a reader keeps its snapshot, and how often it reads everything in it. */
const SNAPSHOT_MS = 20_000;
const READ_EVERY_MS = 5_000;

/** What lasts while a phase does. @returns what ends it. */
type Disturbance = (databaseUrl: string) => Promise<() => Promise<void>>;

const nothing: Disturbance = async () => async () => {};
const PHASES: [title: string, disturbance: Disturbance, load: number][] = [
  ['clean', nothing, 1],
  ['a transaction held open', holdTransaction, 1],
  [`${READERS} readers in long snapshots`, readAlong, 1],
  ['1.5 times the load', nothing, 1.5],
  ['recovery', nothing, 1],
];

/** What becomes of throughput and latency while others use the database as they should not. */
export async function long({ environment, services, quick, long, during, log }: Stage): Promise<Findings> {
  const seconds = long ? 600 : quick ? 5 : 60;
  const system = warrenOn(environment, { env: { BENCH_STATEMENTS: 'yes' } });
  const [producer, worker] = [await system.producer(), await system.worker()];
  try {
    await during(keepBusy(producer, worker, WINDOW, quick ? 2 : 10));
    const rows: Record<string, string | number>[] = [];
    const figures: unknown[] = [];
    for (const [phase, disturb, load] of PHASES) {
      const before = await countsOf(environment.sql, producer, worker);
      const calm = await disturb(environment.databaseUrl);
      const busy = await during(keepBusy(producer, worker, WINDOW * load, seconds));
      await calm();
      const after = await countsOf(environment.sql, producer, worker);
      const each = (count: number) => count / busy.seconds;
      const statements = Object.entries(after.statements)
        .map(([name, count]) => [name, each(count - (before.statements[name] ?? 0))] as const)
        .filter(([, rate]) => rate >= 1)
        .sort(([, one], [, other]) => other - one);
      const row = {
        phase,
        'jobs/s': Math.round(busy.perSecond),
        [`lowest ${SPAN_SECONDS} s`]: Math.round(busy.lowest),
        'p50 ms': busy.p50.toFixed(1),
        'p99 ms': busy.p99.toFixed(1),
        'dead versions': after.dead,
        'tables MB': Math.round(after.tables / 1e6),
        'indexes MB': Math.round(after.indexes / 1e6),
        'commits/s': Math.round(each(after.commits - before.commits)),
        'statements/s': statements.map(([name, rate]) => `${name} ${Math.round(rate)}`).join(', '),
      };
      rows.push(row);
      figures.push({ ...row, ...busy, statements: Object.fromEntries(statements) });
      log(JSON.stringify(row));
    }
    return {
      figures,
      markdown: [
        `${describeMachine()}; ${describeServices(services)}. ${seconds} s a phase, one after the other on the same records; ${WINDOW} jobs between the call that enqueues and the handler at all times. Dead versions and sizes are those at the end of the phase.`,
        '',
        ...table(rows),
        '',
      ].join('\n'),
    };
  } finally {
    await Promise.all([producer.end(), worker.end()]);
  }
}

/** Enqueues as many as were handled, so that there are always the same number on their way. */
async function keepBusy(producer: Child, worker: Workers, window: number, seconds: number) {
  const latencies: number[] = [];
  const spans: number[] = [];
  const from = now();
  let [open, spanFrom, spanDone] = [0, from, 0];
  for (const end = from + seconds * 1_000_000; ; ) {
    const { done, latencies: news } = (await worker.tell({ do: 'tally' })) ?? { done: 0, latencies: [] };
    for (const latency of news) latencies.push(latency);
    open -= done;
    spanDone += done;
    const at = now();
    if (at - spanFrom >= SPAN_SECONDS * 1_000_000) {
      spans.push((spanDone * 1_000_000) / (at - spanFrom));
      [spanFrom, spanDone] = [at, 0];
    }
    if (at < end) {
      if (open < window) await producer.tell({ do: 'feed', jobs: window - open });
      open = Math.max(open, window);
    } else if (open === 0) break;
    await pause(POLL_MS);
  }
  const took = (now() - from) / 1_000_000;
  const quantile = quantileOf(latencies);
  return {
    seconds: took,
    perSecond: latencies.length / took,
    lowest: Math.min(...spans, latencies.length / took),
    p50: quantile(0.5),
    p99: quantile(0.99),
  };
}

/** What has been counted so far, and how large the tables are now. */
async function countsOf(sql: Stage['environment']['sql'], producer: Child, worker: Workers) {
  const usages = await Promise.all([producer.tell({ do: 'usage' }), worker.tell({ do: 'usage' })]);
  const [row] = await sql<{ commits: number; dead: number; tables: number; indexes: number }>(`
    select (select xact_commit from pg_stat_database where datname = current_database())::float8 as commits,
      sum(n_dead_tup)::float8 as dead, sum(pg_table_size(relid))::float8 as tables,
      sum(pg_indexes_size(relid))::float8 as indexes
    from pg_stat_user_tables`);
  if (!row) throw new Error('The database has no tables');
  return { ...row, statements: sumOf(usages.map((usage) => usage?.statements ?? {})) };
}

/** Somebody forgot to commit: no dead version can be taken away meanwhile. */
async function holdTransaction(databaseUrl: string) {
  const client = await connectTo(databaseUrl);
  await client.query('begin');
  await client.query('select pg_current_xact_id()');
  return () => client.end();
}

/** Reports that read all jobs again and again, each time for a while on the same snapshot. */
async function readAlong(databaseUrl: string) {
  const ending = new AbortController();
  const read = async (index: number) => {
    const client = await connectTo(databaseUrl);
    await pause((index * SNAPSHOT_MS) / READERS, undefined, { signal: ending.signal }).catch(() => {});
    while (!ending.signal.aborted) {
      await client.query('begin isolation level repeatable read');
      for (const end = Date.now() + SNAPSHOT_MS; Date.now() < end && !ending.signal.aborted; ) {
        await client.query('select state, count(*) from jobs group by state');
        await pause(READ_EVERY_MS, undefined, { signal: ending.signal }).catch(() => {});
      }
      await client.query('commit');
    }
    await client.end();
  };
  const reading = Promise.all(Array.from({ length: READERS }, (_, index) => read(index)));
  reading.catch(() => {});
  return async () => {
    ending.abort();
    await reading;
  };
}

async function connectTo(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}
