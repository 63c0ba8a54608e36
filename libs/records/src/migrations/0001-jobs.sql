-- One row for each job, and one for each worker process that ever claimed.

create table workers (
  id integer generated always as identity primary key,
  name text not null,
  started_at timestamptz not null default now()
);

create table jobs (
  id uuid primary key,
  name text not null,
  queue text not null,
  state text not null check (state in
    ('scheduled', 'queued', 'running', 'retrying', 'succeeded', 'dead', 'cancelled', 'discarded')),
  -- json, not jsonb: kept as it was sent, and \u0000 is legal in it
  payload json not null,
  result json,
  -- the newest attempt that a worker claimed; 0 before the first
  attempt integer not null default 0,
  max_attempts integer not null,
  -- counts claims: what a worker writes must name the claim that it holds, so a stale one writes nothing
  claim integer not null default 0,
  -- attempts that were lost with their worker, since the job was enqueued or replayed
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
  -- somebody wants the running job to stop: its worker is told, and however it ends, it ends as cancelled
  cancel_requested_at timestamptz,
  -- the outbox: when the relay must publish this job; null when the broker has its message or needs none
  publish_at timestamptz
);

create index jobs_outbox on jobs (publish_at) where publish_at is not null;
-- Succeeded jobs, the bulk of the table, are read by id; the others are listed and counted by state.
create index jobs_state on jobs (state, id) include (queue) where state <> 'succeeded';
-- A worker asks every half second which of its jobs are to stop.
create index jobs_cancelling on jobs (worker)
  where cancel_requested_at is not null and state = 'running';

create table job_keys (
  -- what the key is for and whose it is, such as one client's idempotency keys or one contract's unique jobs
  scope text not null,
  key text not null,
  -- tells whether who comes with the key wants the same job; null when that does not matter
  fingerprint text,
  job uuid not null references jobs on delete cascade,
  -- the key is free again when both hold: this time is over, and the job has ended if that is asked for
  expires_at timestamptz not null,
  until_ended boolean not null,
  primary key (scope, key)
);
create index job_keys_job on job_keys (job);
create index job_keys_expires_at on job_keys (expires_at);

create table dead_letter_queues (
  queue text primary key,
  -- letters for which there is no dead record: what could not be understood, and what the broker put there
  foreign_letters integer not null
);
