-- Of which version of its contract the payload of a job is. Read with it: no rewrite of the table, and no index.
alter table jobs add column version smallint not null default 1;
