-- What handlers log of a job. No foreign key: each job that is deleted would pay for it. Retention deletes what is of none.
create table job_logs (
  job uuid not null,
  claim integer not null,
  -- counted from 1 in each claim
  line integer not null,
  attempt integer not null,
  at timestamptz not null,
  level text not null,
  message text not null,
  fields json not null,
  primary key (job, claim, line)
);
