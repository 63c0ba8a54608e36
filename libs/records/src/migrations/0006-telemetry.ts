import { type Kysely, sql } from 'kysely';

/** To which trace a job belongs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table jobs
      -- the W3C trace context that the job was enqueued in, for what is published later than that; null in most clones.
      -- Written once, with the row
      add traceparent text`.execute(db);
}
