-- Why a job was put off, for who asks what it waits for.
alter table jobs
  -- the limit that put the job off; null when none did since it was claimed last
  add column limited_by text;
