import { columns } from './columns.js';
import { FILTER_VALUES, IS_DEAD, matches } from './job-filter.js';
import type { Position } from './job-pages.js';
import type { JobOptions } from './job-record.js';
import { type Queryable, rowsOf } from './records-database.js';
import { comesAfter } from './statements.js';

/** A payload that is to be edited, as JSON text. */
export interface Editable {
  id: string;
  name: string;
  queue: string;
  payload: string;
  version: number;
  options: JobOptions | null;
}

/** What a dead letter becomes; undefined when what is made of it does not fit, so that it stays as it is. */
export type Edit = (job: Editable) => (Editable & { maxAttempts: number }) | undefined;

/** Payloads may be long. */
const PAGE = 100;

/**
 * Edits the next page of the dead letters that a filter means. What was an unprocessable message is a job from then on.
 *
 * @param replay sends those of these ids back to work. @returns undefined at the end.
 */
export async function editPage(
  transaction: Queryable,
  values: unknown[],
  position: Position,
  edit: Edit,
  replay: (ids: string[], from: Position) => Promise<Position | undefined>,
): Promise<Position | undefined> {
  const [at, limit] = [`$${FILTER_VALUES + 1}`, `$${FILTER_VALUES + 2}`];
  const found = await rowsOf<Editable>(transaction, {
    text: `
      select id, name, queue, payload::text as payload, version, options from jobs
      where ${matches(IS_DEAD, 'finished_at')} and ${comesAfter(at)} order by id limit ${limit} for update`,
    values: [...values, position.after, PAGE],
  });
  const after = found.at(-1)?.id;
  if (after === undefined) return undefined;
  const edited = found.flatMap((job) => edit(job) ?? []);
  const ids = edited.map(({ id }) => id);
  const done = ids.length > 0 && (await replay(ids, { ...position, after: null }));
  const { count = position.count } = done || {};
  await transaction.query({
    name: 'edit-dead',
    text: `
      with edited as (
        update jobs j
        set original_payload = coalesce(j.original_payload, j.payload), payload = e.payload, version = e.version,
          queue = e.queue, max_attempts = e.max_attempts
        from unnest($1::uuid[], $2::json[], $3::int[], $4::text[], $5::int[])
          as e (id, payload, version, queue, max_attempts)
        where j.id = e.id and j.state <> 'dead' returning j.id
      )
      delete from unprocessable_messages where job in (select id from edited)`,
    values: columns(edited, 'id', 'payload', 'version', 'queue', 'maxAttempts'),
  });
  const leftOut = position.leftOut + found.length - (count - position.count);
  return { ...position, after, count, leftOut };
}
