-- A record is written three times; its payload never changes. Apart, it is written once.
create table job_payloads (
  job uuid primary key,
  -- json, not jsonb: kept as it was sent, and \u0000 is legal in it
  payload json not null
);
comment on column jobs.payload is 'Of jobs that were enqueued before there was job_payloads; null since.';

-- Without jobs that were enqueued a moment ago: they are in jobs_outbox, and most are claimed before they leave it.
drop index jobs_state;
create index jobs_state on jobs (state, id) include (queue)
  where state <> 'succeeded' and (state <> 'queued' or publish_at is null);

-- Every job leaves two dead versions of its row: vacuum after a share of the waiting ones, not of the whole past.
alter table jobs set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);
