-- One row for each batch. It was a part of 0004, so most databases have it.

create table if not exists batches (
  id uuid primary key,
  name text not null,
  total integer not null,
  -- the jobs that follow when all have ended, and when all have succeeded; as jobs.next
  on_complete json,
  on_success json,
  -- as in job_keys, whose rows stand for single jobs
  key_scope text,
  key text,
  fingerprint text,
  created_at timestamptz not null default now(),
  cancelled_at timestamptz,
  completed_at timestamptz
);
create unique index if not exists batches_key on batches (key_scope, key);
create index if not exists batches_open on batches (id) where completed_at is null;
