-- What an operator looks at beside the jobs: what each worker is at, and the letters that no record stands for.

alter table workers
  add queues text[] not null default '{}',
  -- how long its event loop was held up at most, in the seconds before seen_at
  add event_loop_lag_ms real not null default 0,
  add rss_bytes bigint not null default 0,
  add seen_at timestamptz not null default now();

-- Workers that are long gone are deleted. With this key, each of them would cost a look at every job; and it locked
-- the worker's row for each claim. What is deleted is older than every job that could name it.
alter table jobs drop constraint jobs_worker_fkey;

create table foreign_letters (
  -- the work queue whose dead letter it is, or the queue of the unroutable
  queue text not null,
  -- a hash of what the message carries: it has no id that one could rely on
  id text not null,
  -- how many of the same lie there
  copies integer not null,
  reason text not null,
  -- json, not jsonb: whatever a foreign program sent, \u0000 included
  properties json not null,
  headers json not null,
  size integer not null,
  -- the beginning
  body bytea not null,
  found_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  -- what somebody wants to become of it, until that is done
  wish text check (wish in ('replay', 'discard')),
  primary key (queue, id)
);
create index foreign_letters_wishes on foreign_letters (queue) where wish is not null;
