-- Only jobs with tags, or that are of a rerun, are in these.
create index jobs_tags on jobs using gin (tags jsonb_path_ops) where tags is not null;
create index jobs_tagged on jobs (id) where tags is not null;
create index jobs_rerun_of on jobs (rerun_of) where rerun_of is not null;
-- What a dead letter was enqueued with, since it was replayed with an edited payload.
alter table jobs add column original_payload json;

-- What stands at a place of a payload; null of JSON with \u0000 or half of a surrogate pair, which are legal in it.
create function payload_text(payload json, path text[]) returns text language plpgsql immutable as $$
begin
  return payload #>> path;
exception when others then
  return null;
end $$;
