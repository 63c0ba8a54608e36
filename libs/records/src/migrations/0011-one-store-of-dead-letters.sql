-- A message that no job can be made of is a dead letter like any other: a dead job, with the message beside it. There is
-- no way back: the tables that go describe what lies in the dead-letter queues, and workers find that there again.

alter table jobs alter column payload drop not null;
create table unprocessable_messages (
  job uuid primary key references jobs on delete cascade,
  -- of body and type: tells a message that comes again from another one with the same id
  digest text not null,
  -- as received; json, not jsonb: whatever another program sent, \u0000 included
  routing_key text not null,
  properties json not null,
  headers json not null,
  body bytea not null
);
-- Bodies may be 16 MiB of anything: compressing them takes a second, and reading their beginning all of them.
alter table unprocessable_messages alter column body set storage external;
create index unprocessable_messages_digest on unprocessable_messages (digest);
-- Dead letters are listed by the time of their death: ids that other programs gave say nothing of time.
create index jobs_dead_by_time on jobs (finished_at, id) where state = 'dead';
drop table foreign_letters, dead_letter_queues;
