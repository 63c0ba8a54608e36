import { type Kysely, sql } from 'kysely';

/** Columns and stored words by the names of docs/glossary.md. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table jobs rename column losses to crashes`.execute(db);
  await sql`alter table audit rename column deed to action`.execute(db);
  await sql`
    update jobs set attempts = (
      select jsonb_agg(
        case when a ->> 'outcome' = 'lost' then jsonb_set(a, '{outcome}', '"crashed"') else a end order by at
      ) from jsonb_array_elements(attempts) with ordinality as past (a, at)
    ) where attempts @> '[{"outcome": "lost"}]'`.execute(db);
}
