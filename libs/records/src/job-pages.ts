import { Injectable, Optional } from '@nestjs/common';
import type { Done } from '#resources';
import { FILTER_VALUES, type JobFilter, matches, TAKE_NOTHING, valuesOf } from './job-filter.js';
import { Redaction } from './job-queries.js';
import { type Queryable, RecordsDatabase, rowsOf } from './records-database.js';
import { comesAfter } from './statements.js';
import { type StoredJob, storedJobs } from './stored-job.js';

/** Jobs that one statement changes, so that a hundred thousand are no long transaction. */
const PAGE = 1_000;
/** Payloads may be long: so many are read at once. */
const READ_PAGE = 100;
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

/** When the first jobs have their turn, by the database's clock; now when it says nothing. */
export interface Start {
  delayMs?: number;
  runAt?: Date;
}

/** How far a change of many jobs has come. */
export interface Position {
  start: Date;
  after: string | null;
  count: number;
  leftOut: number;
}

/** Does something to the jobs that a filter means, page by page: killed half-way, the same call goes on with the rest. */
@Injectable()
export abstract class JobPages {
  constructor(
    protected readonly database: RecordsDatabase,
    @Optional() private readonly redaction?: Redaction,
  ) {}

  /** How many jobs a change could be made of. */
  protected async countOf(
    { states, time }: Pick<BulkChange, 'states' | 'time'>,
    filter: JobFilter,
  ): Promise<number> {
    const [row] = await rowsOf<{ count: number }>(this.database, {
      text: `select count(*)::int as count from jobs where ${matches(states, time)}`,
      values: this.valuesOf(filter),
    });
    return row?.count ?? 0;
  }

  protected valuesOf(filter: JobFilter): unknown[] {
    return valuesOf(filter, this.redaction);
  }

  protected async changeAll(
    change: BulkChange,
    filter: JobFilter,
    { perSecond, ...options }: RateOptions,
    start: Start = {},
  ): Promise<Required<Done>> {
    const values = this.valuesOf(filter);
    return this.inPages(options, start, (position) =>
      changePage(this.database, change, values, position, perSecond),
    );
  }

  /**
   * The same where each page of jobs is read, and then changed in another way.
   *
   * @param narrow a further condition, of the job `j`, by what is seen once the locks are held.
   * @param change returns how many jobs of a page it has changed.
   */
  protected async readAll(
    { states, time }: Pick<BulkChange, 'states' | 'time'>,
    filter: JobFilter,
    options: BulkOptions,
    change: (transaction: Queryable, jobs: StoredJob[], position: Position) => Promise<number>,
    narrow?: string,
  ): Promise<Required<Done>> {
    const values = this.valuesOf(filter);
    const [at, limit] = [`$${FILTER_VALUES + 1}`, `$${FILTER_VALUES + 2}`];
    const text = `
      select id from jobs where ${matches(states, time)} and ${comesAfter(at)} order by id limit ${limit} for update`;
    return this.inPages(options, {}, (position) =>
      this.database.transaction(async (transaction) => {
        const found = { text, values: [...values, position.after, READ_PAGE] };
        const ids = (await rowsOf<{ id: string }>(transaction, found)).map(({ id }) => id);
        const after = ids.at(-1);
        if (after === undefined) return undefined;
        const jobs = await storedJobs(transaction, ids, narrow);
        const changed = await change(transaction, jobs, position);
        const [count, leftOut] = [position.count + changed, position.leftOut + jobs.length - changed];
        return { ...position, after, count, leftOut };
      }),
    );
  }

  private async inPages(
    { signal, onProgress }: BulkOptions,
    { delayMs = 0, runAt }: Start,
    turn: (position: Position) => Promise<Position | undefined>,
  ): Promise<Required<Done>> {
    const [row] = await rowsOf<{ start: Date }>(this.database, {
      text: `select coalesce($2::timestamptz, now() + $1::float8 * interval '1 millisecond') as start`,
      values: [delayMs, runAt ?? null],
    });
    let position: Position = { start: row?.start as Date, after: null, count: 0, leftOut: 0 };
    while (!signal?.aborted) {
      const next = await turn(position);
      if (!next) break;
      position = next;
      onProgress?.(position.count);
    }
    const { count, leftOut } = position;
    return { count, leftOut };
  }
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
