-- What a replay asks of a unique key, as enqueueing does.

alter table jobs
  -- the unique key that the job was enqueued with: job_keys names the job that held it last, which may be another
  add unique_key text;
-- Volatile, so that it sees what was committed while its statement waited for the row of a key.
create function job_has_ended(job uuid) returns boolean language sql volatile as $$
  select exists (
    select from jobs j where j.id = job and j.state in ('succeeded', 'dead', 'cancelled', 'discarded'))
$$;
