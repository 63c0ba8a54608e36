-- Keys that are held until their job need not wait for its time any more; until then its payload may be replaced.
alter table job_keys add until_started boolean not null default false;
-- Volatile, so that it sees what was committed while its statement waited for the row of a key.
create function job_has_started(job uuid) returns boolean language sql volatile as $$
  select exists (select from jobs j where j.id = job and not (j.state = 'scheduled' and j.claim = 0))
$$;
