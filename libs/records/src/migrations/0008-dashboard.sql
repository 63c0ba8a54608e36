-- What people see of the past and do to jobs: outcomes by the minute, and who did what.

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
  deed text not null,
  subject text not null,
  -- how many jobs, queues or the like it changed; null until it is done, or when it was cut off
  count integer
);
