-- One row for each schedule that code ever declared, and one for each tick that was decided on.

create table schedules (
  name text primary key,
  -- what the code says of it: cron, timeZone, job, payload, missed, overlap, jitterMs
  spec jsonb not null,
  -- the code does not declare it any more
  disabled boolean not null default false,
  paused boolean not null default false,
  -- the first tick that nobody has decided on yet
  next_at timestamptz not null,
  -- its newest job, made by a tick or by hand
  last_job uuid,
  -- when a worker last found that this row says what its code says
  confirmed_at timestamptz not null default now()
);

-- The primary key is the promise: a tick is decided on once, in the transaction that makes its job.
create table schedule_ticks (
  schedule text not null references schedules,
  tick timestamptz not null,
  outcome text not null check (outcome in ('enqueued', 'missed', 'overlapping')),
  job uuid,
  decided_at timestamptz not null default now(),
  primary key (schedule, tick)
);
