import { type Kysely, sql } from 'kysely';

/** What workers must agree on before they start a job: rate limits, concurrency limits, paused queues, priorities. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table rate_limits (
      -- the contract, and which of its limits: the key that the handler took from the payload
      name text not null,
      key text not null,
      -- up to when starts are given away
      next_at timestamptz not null,
      -- up to when jobs were put off
      queue_at timestamptz not null,
      primary key (name, key)
    )`.execute(db);

  await sql`
    create table concurrency_limits (
      name text not null,
      key text not null,
      max_running integer not null,
      -- one for each slot taken: the worker's id in the upper 32 bits, a number of its own in the lower
      holders bigint[] not null default '{}',
      primary key (name, key)
    )`.execute(db);

  await sql`
    create table concurrency_waiters (
      job uuid primary key references jobs on delete cascade,
      name text not null,
      key text not null,
      -- the time to which the job was put off; one that has another by now waits for something else
      run_at timestamptz not null
    )`.execute(db);
  await sql`create index concurrency_waiters_oldest on concurrency_waiters (name, key, run_at)`.execute(db);

  await sql`
    create table paused_queues (
      queue text primary key,
      paused_at timestamptz not null default now()
    )`.execute(db);

  await sql`
    alter table jobs add column priority text not null default 'normal'
      check (priority in ('high', 'normal', 'low'))`.execute(db);
}
