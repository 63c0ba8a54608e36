import { type Kysely, sql } from 'kysely';

/** One row for each job, and one for each worker process that ever claimed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table workers (
      id integer generated always as identity primary key,
      name text not null,
      started_at timestamptz not null default now()
    )`.execute(db);

  await sql`
    create table jobs (
      id uuid primary key,
      name text not null,
      queue text not null,
      state text not null check (state in
        ('scheduled', 'queued', 'running', 'retrying', 'succeeded', 'dead', 'cancelled', 'discarded')),
      -- json, not jsonb: kept as it was sent, and \\u0000 is legal in it
      payload json not null,
      result json,
      -- the newest attempt that a worker claimed; 0 before the first
      attempt integer not null default 0,
      max_attempts integer not null,
      -- counts claims: what a worker writes must name the claim that it holds, so a stale one writes nothing
      claim integer not null default 0,
      -- attempts that were lost with their worker
      losses integer not null default 0,
      worker integer references workers,
      -- attempts that failed or were lost; the columns here describe the newest one
      attempts jsonb not null default '[]',
      progress real,
      progress_note text,
      created_at timestamptz not null default now(),
      run_at timestamptz not null,
      started_at timestamptz,
      finished_at timestamptz,
      -- the outbox: when the relay must publish this job; null when the broker has its message or needs none
      publish_at timestamptz
    )`.execute(db);

  await sql`create index jobs_outbox on jobs (publish_at) where publish_at is not null`.execute(db);
  // Succeeded jobs, the bulk of the table, are read by id; the others are listed and counted by state.
  await sql`create index jobs_state on jobs (state, id) include (queue) where state <> 'succeeded'`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table jobs, workers`.execute(db);
}
