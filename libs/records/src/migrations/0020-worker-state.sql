-- What an operator asked of a worker: to be quiet, or to stop.
alter table workers add column state text not null default 'working';
