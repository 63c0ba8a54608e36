-- What workers must agree on before they start a job. It was a part of 0005, so most databases have it.

create table if not exists rate_limits (
  -- the contract, and which of its limits: the key that the handler took from the payload
  name text not null,
  key text not null,
  -- up to when starts are given away
  next_at timestamptz not null,
  -- up to when jobs were put off
  queue_at timestamptz not null,
  primary key (name, key)
);

create table if not exists concurrency_limits (
  name text not null,
  key text not null,
  max_running integer not null,
  -- one for each slot taken: the worker's id in the upper 32 bits, a number of its own in the lower
  holders bigint[] not null default '{}',
  primary key (name, key)
);

create table if not exists concurrency_waiters (
  job uuid primary key references jobs on delete cascade,
  name text not null,
  key text not null,
  -- the time to which the job was put off; one that has another by now waits for something else
  run_at timestamptz not null
);
create index if not exists concurrency_waiters_oldest on concurrency_waiters (name, key, run_at);
