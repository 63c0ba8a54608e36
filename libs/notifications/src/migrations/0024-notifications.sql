-- What is told to NOTIFY_WEBHOOKS: one row, of the one process that looks for all.
create table notification_watch (
  id boolean primary key default true check (id),
  -- the process that looks; null when it has stopped in good order
  looker uuid,
  looked_at timestamptz not null default now(),
  -- what lasts, what was told of it, and up to when dead letters were told
  memory json not null default '{}'
);
insert into notification_watch default values;
