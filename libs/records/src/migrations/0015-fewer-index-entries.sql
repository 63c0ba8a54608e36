-- Without jobs that were enqueued a moment ago: they are in jobs_outbox, and most are claimed before they leave it.
drop index jobs_state;
create index jobs_state on jobs (state, id) include (queue)
  where state <> 'succeeded' and (state <> 'queued' or publish_at is null);

-- Every job leaves two dead versions of its row: vacuum after a share of the waiting ones, not of the whole past.
alter table jobs set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);
