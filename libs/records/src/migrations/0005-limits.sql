-- Paused queues, and priorities.

create table paused_queues (
  queue text primary key,
  paused_at timestamptz not null default now()
);

alter table jobs add column priority text not null default 'normal'
  check (priority in ('high', 'normal', 'low'));
