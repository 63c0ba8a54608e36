-- Jobs that must have started by a time: options hold startWithin, and startBy until they have.
create index jobs_start_by on jobs (((options ->> 'startBy')::float8))
  where options ? 'startBy' and state in ('scheduled', 'queued');
