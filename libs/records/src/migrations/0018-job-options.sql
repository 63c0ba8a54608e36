-- What a job was enqueued with beyond its contract; null of most jobs.
alter table jobs
  add column options jsonb,
  -- an array of texts
  add column tags jsonb,
  -- the ended job that it was enqueued from again
  add column rerun_of uuid;
