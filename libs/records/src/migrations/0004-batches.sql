-- Which jobs belong together, counted together or one after the other.

alter table jobs
  -- the batch that the job was enqueued with. No foreign key: checking it for each of 10,000 rows would cost more
  -- than it could find, since a batch and its jobs are inserted by one transaction
  add batch uuid,
  -- the job that follows when this one succeeds: a record like this one, as it will be inserted
  add next json,
  -- what this job follows, a job or a batch: its id, name and result
  add previous json;
-- Both how far a batch is and whether it has ended are asked of it.
create index jobs_batch on jobs (batch, state) where batch is not null;
