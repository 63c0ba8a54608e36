-- One row for each job, and one for each worker process that ever claimed. The migrations up to 0015 are in this one, too.

create table workers (
  id integer generated always as identity primary key,
  name text not null,
  started_at timestamptz not null default now(),
  queues text[] not null default '{}',
  -- how long its event loop was held up at most, in the seconds before seen_at
  event_loop_lag_ms real not null default 0,
  rss_bytes bigint not null default 0,
  seen_at timestamptz not null default now()
);

create table jobs (
  id uuid primary key,
  name text not null,
  queue text not null,
  state text not null check (state in
    ('scheduled', 'queued', 'running', 'retrying', 'succeeded', 'dead', 'cancelled', 'discarded')),
  -- json, not jsonb: kept as it was sent, and \u0000 is legal in it. Null of a message that no job can be made of
  payload json,
  result json,
  -- the newest attempt that a worker claimed; 0 before the first
  attempt integer not null default 0,
  max_attempts integer not null,
  -- counts claims: what a worker writes must name the claim that it holds, so a stale one writes nothing
  claim integer not null default 0,
  -- attempts that ended with their worker, since the job was enqueued or replayed
  crashes integer not null default 0,
  -- no foreign key: each worker that is deleted would cost a look at every job, and each claim a lock of its row
  worker integer,
  -- attempts that failed or crashed; the columns here describe the newest one
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
  publish_at timestamptz,
  -- the batch that the job was enqueued with. No foreign key: checking it for each of 10,000 rows would cost more
  -- than it could find, since a batch and its jobs are inserted by one transaction
  batch uuid,
  -- the job that follows when this one succeeds: a record like this one, as it will be inserted
  next json,
  -- what this job follows, a job or a batch: its id, name and result
  previous json,
  priority text not null default 'normal' check (priority in ('high', 'normal', 'low')),
  -- the W3C trace context that the job was enqueued in, for what is published later than that; null in most clones
  traceparent text,
  -- of a dead job: the message of its last error, cut, with # for each number and UUID in it; empty for others.
  -- Compared byte by byte, which is several times as quick as by the rules of a language
  error_form text collate "C" not null default '',
  -- the unique key that the job was enqueued with: job_keys names the job that held it last, which may be another
  unique_key text,
  -- the limit that put the job off; null when none did since it was claimed last
  limited_by text
);
-- Every job leaves two dead versions of its row: vacuum after a share of the waiting ones, not of the whole past.
alter table jobs set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);

create index jobs_outbox on jobs (publish_at) where publish_at is not null;
-- Succeeded jobs, the bulk of the table, are read by id; the others are listed and counted by state. Jobs that were
-- enqueued a moment ago are in jobs_outbox, and most are claimed before they leave it.
create index jobs_state on jobs (state, id) include (queue)
  where state <> 'succeeded' and (state <> 'queued' or publish_at is null);
-- A worker asks every half second which of its jobs are to stop.
create index jobs_cancelling on jobs (worker)
  where cancel_requested_at is not null and state = 'running';
-- Both how far a batch is and whether it has ended are asked of it.
create index jobs_batch on jobs (batch, state) where batch is not null;
-- Only what is dead is in these: a job that succeeds, or is tried again, costs nothing. Dead letters are listed by the
-- time of their death: ids that other programs gave say nothing of time.
create index jobs_dead on jobs (error_form, queue, name, finished_at) where state = 'dead';
create index jobs_dead_by_time on jobs (finished_at, id) where state = 'dead';

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
-- Volatile, so that it sees what was committed while its statement waited for the row of a key.
create function job_has_ended(job uuid) returns boolean language sql volatile as $$
  select exists (
    select from jobs j where j.id = job and j.state in ('succeeded', 'dead', 'cancelled', 'discarded'))
$$;

-- A message that no job can be made of is a dead job, with the message beside it.
create table unprocessable_messages (
  job uuid primary key references jobs on delete cascade,
  -- of body and type: tells a message that comes again from another one with the same id
  digest text not null,
  -- as received; json, not jsonb: whatever another program sent, \u0000 included
  routing_key text not null,
  properties json not null,
  headers json not null,
  body bytea not null
);
-- Bodies may be 16 MiB of anything: compressing them takes a second, and reading their beginning all of them.
alter table unprocessable_messages alter column body set storage external;
create index unprocessable_messages_digest on unprocessable_messages (digest);

create table paused_queues (
  queue text primary key,
  paused_at timestamptz not null default now()
);

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
);

create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null,
  via text not null check (via in ('dashboard', 'http', 'cli')),
  -- what was done, such as job.cancel, and to what: an id, a name, a filter
  action text not null,
  subject text not null,
  -- how many jobs, queues or the like it changed; null until it is done, or when it was cut off
  count integer,
  -- why somebody was not let through with it; null for what was done
  refusal text
);

-- So that earlier code knows that they have run.
insert into kysely_migration (name, timestamp)
select name, now()::text from unnest(array[
  '0004-batches', '0005-limits', '0006-telemetry', '0007-operator', '0008-dashboard', '0009-dead-letters',
  '0010-unique-keys', '0011-one-store-of-dead-letters', '0012-words', '0014-limited-by', '0015-fewer-index-entries'
]) name on conflict do nothing;
