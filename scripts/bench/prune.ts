import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { loadSettings, SettingsModule } from '#config';
import { JobStore, migrateDatabase, RecordsModule, Retention } from '#records';
import { startPrivatePostgres } from '../services/postgres.js';

/**
 * `npm run bench:prune`: what pruning costs, and what it costs those who work beside it. On a database of its own,
 * with rows that are past keeping strewn over the whole table, it prunes and runs jobs (record, claim, settle; as many
 * at once as `--jobs` says, each as soon as the one before has ended) in turns: jobs alone, jobs beside pruning,
 * pruning alone. Turns rather than one after the other, because whatever else the machine does then disturbs all
 * three alike.
 */

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '3000000' },
    past: { type: 'string', default: '1000000' },
    jobs: { type: 'string', default: '64' },
    turn: { type: 'string', default: '4' },
  },
});
const rows = Number(values.rows);
const past = Number(values.past);
const jobsAtOnce = Number(values.jobs);
const turnMs = Number(values.turn) * 1_000;

const keep = 30 * 24 * 3_600_000;
const ages = { succeeded: keep, cancelled: keep, discarded: keep, others: keep };
const PAYLOAD = JSON.stringify({ to: 'ada@example.com', subject: 'Hello', text: 'x'.repeat(150) });

const server = await startPrivatePostgres();
const url = server.addresses.databaseUrl;
const client = new pg.Client(url);
await client.connect();
const one = async <Row>(text: string) => (await client.query(text)).rows[0] as Row;

try {
  await migrateDatabase(url);
  console.log(`Filling a table with ${rows} rows, of which ${past} are past keeping`);
  await client.query(
    `insert into jobs (id, name, queue, state, payload, result, attempt, max_attempts, claim, created_at, run_at, started_at, finished_at)
     select gen_random_uuid(), 'email.send', 'email', 'succeeded', $1::json, '{"messageId":"x"}', 1, 5, 1, at, at, at, at
     from (select now() - case when random() < $2 then interval '31 days' else interval '1 day' end as at
           from generate_series(1, $3::int)) rows`,
    [PAYLOAD, past / rows, rows],
  );
  await client.query('vacuum analyze jobs');
  await measure();
} finally {
  await client.end();
  await server.stop();
}

async function measure(): Promise<void> {
  @Module({ imports: [SettingsModule.forRoot(() => loadSettings({ DATABASE_URL: url })), RecordsModule] })
  class BenchModule {}
  const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error'] });
  const records = app.get(JobStore);
  const before = await size();

  const alone: number[] = [];
  const beside: number[] = [];
  const pruned = { beside: 0, alone: 0 };
  const took = { alone: 0, beside: 0, prune: 0 };
  const steps: number[] = [];
  const steady = app.get(Retention).prune(ages);
  let done = false;

  /** Prunes for one turn, or to the end. @returns rows that went. */
  const prune = async () => {
    let deleted = 0;
    for (const until = performance.now() + turnMs; performance.now() < until && !done; ) {
      const startedAt = performance.now();
      const step = await steady.next();
      steps.push(performance.now() - startedAt);
      if (step.done) done = true;
      else deleted += step.value.deleted;
    }
    return deleted;
  };
  /** Runs jobs until `stopped`. */
  const work = async (latencies: number[], stopped: () => boolean) => {
    const one = async () => {
      while (!stopped()) {
        const startedAt = performance.now();
        const id = uuidv7();
        await records.insert({ id, name: 'email.send', queue: 'email', payload: PAYLOAD, maxAttempts: 5 });
        const claim = await records.claim({ id, name: 'email.send', attempt: 1, wantsPayload: false });
        if (claim.taken) await records.settle({ id, claim: claim.claim, state: 'succeeded', result: '{}' });
        latencies.push(performance.now() - startedAt);
      }
    };
    await Promise.all(Array.from({ length: jobsAtOnce }, one));
  };
  const timed = async (task: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await task();
    return performance.now() - startedAt;
  };

  await work([], after(2_000));
  while (!done) {
    took.alone += await timed(() => work(alone, after(turnMs)));
    took.beside += await timed(async () => {
      let ended = false;
      const working = work(beside, () => ended);
      pruned.beside += await prune();
      ended = true;
      await working;
    });
    took.prune += await timed(async () => {
      pruned.alone += await prune();
    });
  }

  const perSecond = (count: number, ms: number) => Math.round(count / (ms / 1_000));
  console.log(`Jobs alone:       ${perSecond(alone.length, took.alone)}/s, ${percentiles(alone)}`);
  console.log(`Jobs beside it:   ${perSecond(beside.length, took.beside)}/s, ${percentiles(beside)}`);
  console.log(`Pruning beside:   ${perSecond(pruned.beside, took.beside)} rows/s`);
  console.log(`Pruning alone:    ${perSecond(pruned.alone, took.prune)} rows/s`);
  console.log(`Steps with rests: ${steps.length}, ${percentiles(steps)}`);
  console.log(`Pruned:           ${pruned.beside + pruned.alone} rows`);
  console.log(`Table before:     ${before}`);
  console.log(`Table after:      ${await size()}`);
  await client.query('vacuum jobs');
  console.log(`After a vacuum:   ${await size()}`);
  await app.close();
}

function after(ms: number): () => boolean {
  const until = performance.now() + ms;
  return () => performance.now() > until;
}

function percentiles(durations: number[]): string {
  const sorted = durations.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]?.toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}

async function size(): Promise<string> {
  // What the server counted reaches its statistics within half a second or so.
  await pause(1_000);
  const { bytes, dead, live, vacuums, indexes } = await one<Record<string, string>>(`
    select pg_size_pretty(pg_table_size('jobs')) as bytes, n_dead_tup as dead, n_live_tup as live,
           autovacuum_count as vacuums, pg_size_pretty(pg_indexes_size('jobs')) as indexes
    from pg_stat_user_tables where relname = 'jobs'`);
  return `${bytes}, indexes ${indexes}, ${live} rows, ${dead} dead rows, ${vacuums} autovacuums`;
}
