import { FILTER_VALUES, type JobFilter, matches, TAKE_NOTHING, valuesOf } from './job-filter.js';
import type { Redaction } from './job-queries.js';
import { type Queryable, rowsOf } from './records-database.js';
import { comesAfter } from './statements.js';

/** Jobs that one statement changes, so that a hundred thousand are no long transaction. */
const PAGE = 1_000;
/** Jobs a second by default: one relay publishes some thousands, and new jobs want their share. */
export const PER_SECOND = 1_000;

export interface BulkOptions {
  /** Ends it after the current page; the same call goes on later. */
  signal?: AbortSignal;
  /** Told how many are done so far. */
  onProgress?: (count: number) => void;
}

export interface RateOptions extends BulkOptions {
  /** Jobs that start in each second; the others are scheduled for later ones. */
  perSecond?: number;
}

/** What is done to many jobs. */
export interface BulkChange {
  /** What it can be done to, in SQL, and the column that the times of a filter are about. */
  states: string;
  time: 'created_at' | 'finished_at';
  /** What is set, in SQL; `page.run_at` is the time at which a job's turn comes. */
  set: string;
  /** Which of `found` are changed. */
  allowed?: string;
}

/** How far a change of many jobs has come. */
export interface Position {
  /** When the first ones have their turn. */
  start: Date;
  after: string | null;
  count: number;
  leftOut: number;
}

/** Changes the next page of the jobs that a filter means. @returns undefined at the end. */
export async function changePage(
  queryable: Queryable,
  { states, time, set, allowed = TAKE_NOTHING }: BulkChange,
  values: unknown[],
  { start, after, count, leftOut }: Position,
  perSecond = PER_SECOND,
): Promise<Position | undefined> {
  const [at, limit, since, done, rate] = [1, 2, 3, 4, 5].map((place) => `$${FILTER_VALUES + place}`);
  const [row] = await rowsOf<{ last: string | null; found: number; changed: number }>(queryable, {
    text: `
      with found as (
        select id, name, unique_key from jobs where ${matches(states, time)} and ${comesAfter(at as string)}
        order by id limit ${limit} for update
      ), ${allowed}, page as (
        select id, ${since}::timestamptz + (row_number() over (order by id) + ${done}::int - 1) / ${rate}::int
          * interval '1 second' as run_at
        from allowed
      ), changed as (
        update jobs set ${set} from page where jobs.id = page.id returning 1
      )
      select (select id from found order by id desc limit 1) as last, (select count(*)::int from found) as found,
             (select count(*)::int from changed) as changed`,
    values: [...values, after, PAGE, start, count, perSecond],
  });
  if (!row?.last) return undefined;
  const { last, found, changed } = row;
  return { start, after: last, count: count + changed, leftOut: leftOut + found - changed };
}

/**
 * Does something to the jobs that a filter means, page by page: killed half-way, the same call goes on with the rest.
 *
 * @param turn does it to the page after a position.
 */
export async function inPages(
  { signal, onProgress }: BulkOptions,
  start: Date,
  turn: (position: Position) => Promise<Position | undefined>,
): Promise<{ count: number; leftOut: number }> {
  let position: Position = { start, after: null, count: 0, leftOut: 0 };
  while (!signal?.aborted) {
    const next = await turn(position);
    if (!next) break;
    position = next;
    onProgress?.(position.count);
  }
  const { count, leftOut } = position;
  return { count, leftOut };
}

export async function countMatching(
  queryable: Queryable,
  { states, time }: Pick<BulkChange, 'states' | 'time'>,
  filter: JobFilter,
  redaction: Redaction | undefined,
): Promise<number> {
  const [row] = await rowsOf<{ count: number }>(queryable, {
    text: `select count(*)::int as count from jobs where ${matches(states, time)}`,
    values: valuesOf(filter, redaction),
  });
  return row?.count ?? 0;
}
