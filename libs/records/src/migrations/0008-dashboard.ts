import { type Kysely, sql } from 'kysely';

/** What people see of the past and do to jobs: outcomes by the minute, who did what, who is signed in. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table throughput (
      -- each attempt is counted twice: in its minute, for the last day, and in its quarter of an hour, for a week
      step_s integer not null,
      -- when the step began
      at timestamptz not null,
      queue text not null,
      -- the state that an attempt left its job in
      outcome text not null,
      count integer not null,
      primary key (step_s, at, queue, outcome)
    )`.execute(db);

  await sql`
    create table audit (
      id bigint generated always as identity primary key,
      at timestamptz not null default now(),
      actor text not null,
      via text not null check (via in ('dashboard', 'http', 'cli')),
      -- what was done, such as job.cancel, and to what: an id, a name, a filter
      deed text not null,
      subject text not null,
      -- how many jobs, queues or the like it changed; null until it is done, or when it was cut off
      count integer
    )`.execute(db);

  await sql`
    create table dashboard_sessions (
      -- whoever reads this table can sign in as nobody
      token_hash bytea primary key,
      user_name text not null,
      -- of the password that was given: with another password the session ends
      password_hash bytea not null,
      created_at timestamptz not null default now(),
      seen_at timestamptz not null default now()
    )`.execute(db);
}
