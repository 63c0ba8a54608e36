-- Jobs that wait for a worker that knows their contract in their version.
alter table jobs
  -- until when; kept over repeated holds. As long as publish_at is the same, no message is on its way
  add column held_until timestamptz,
  -- what a worker must know to run it, as workers.contracts
  add column held_for jsonb;
create index jobs_held on jobs (name) where held_until is not null and state = 'queued';
-- The version that each worker knows of each contract, by its names; null of a worker of earlier code.
alter table workers add column contracts jsonb;

-- With them: they stay in jobs_outbox for a day.
drop index jobs_state;
create index jobs_state on jobs (state, id) include (queue)
  where state <> 'succeeded' and (state <> 'queued' or publish_at is null or held_until is not null);
