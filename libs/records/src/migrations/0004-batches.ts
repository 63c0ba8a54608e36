import { type Kysely, sql } from 'kysely';

/** Jobs that belong together: counted together, or one after the other. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table jobs
      -- the batch that the job was enqueued with. No foreign key: checking it for each of 10,000 rows would cost more
      -- than it could find, since a batch and its jobs are inserted by one transaction
      add batch uuid,
      -- the job that follows when this one succeeds: a record like this one, as it will be inserted
      add next json,
      -- what this job follows, a job or a batch: its id, name and result
      add previous json`.execute(db);
  // Both how far a batch is and whether it has ended are asked of it.
  await sql`create index jobs_batch on jobs (batch, state) where batch is not null`.execute(db);

  await sql`
    create table batches (
      id uuid primary key,
      name text not null,
      total integer not null,
      -- the jobs that follow when all have ended, and when all have succeeded; as jobs.next
      on_complete json,
      on_success json,
      -- as in job_keys, whose rows stand for single jobs
      key_scope text,
      key text,
      fingerprint text,
      created_at timestamptz not null default now(),
      cancelled_at timestamptz,
      completed_at timestamptz
    )`.execute(db);
  await sql`create unique index batches_key on batches (key_scope, key)`.execute(db);
  await sql`create index batches_open on batches (id) where completed_at is null`.execute(db);
}
