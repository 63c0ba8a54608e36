-- Schedules that no code declares, made while the apps run.
alter table schedules add at_run_time boolean not null default false;
-- However many there are, only those that are due are looked at.
create index schedules_due on schedules (next_at) where at_run_time and not paused;
