import { Injectable, Optional } from '@nestjs/common';
import type { Done } from '#resources';
import { FILTER_VALUES, type JobFilter, matches, valuesOf } from './job-filter.js';
import {
  type BulkChange,
  changePage,
  countMatching,
  inPages,
  PER_SECOND,
  type Position,
  type RateOptions,
} from './job-pages.js';
import { Redaction } from './job-queries.js';
import type { NewRecord } from './job-record.js';
import { JobStore } from './job-store.js';
import { CANCEL, OPEN_STATES } from './jobs-in-sql.js';
import { type Queryable, RecordsDatabase, rowsOf } from './records-database.js';
import { withStartBy } from './start-by.js';
import { comesAfter } from './statements.js';
import { type StoredJob, storedJobs } from './stored-job.js';

const ENDED = `state in ('succeeded', 'dead', 'cancelled', 'discarded')`;
/** What is done to many jobs, by its name. */
const changes = {
  cancel: {
    states: `state in (${OPEN_STATES}) and cancel_requested_at is null`,
    time: 'created_at',
    set: CANCEL,
  },
  reschedule: {
    ...{ states: `state = 'scheduled'`, time: 'created_at' },
    set: `run_at = page.run_at, publish_at = page.run_at, limited_by = null,
      options = ${withStartBy('jobs.options', 'page.run_at', 'startBy')}`,
  },
  rerun: {
    states: `${ENDED} and not exists (select from jobs r where r.rerun_of = jobs.id)`,
    ...{ time: 'finished_at', set: '' },
  },
} as const satisfies Record<string, BulkChange>;
export type BulkAction = keyof typeof changes;

/** Payloads may be long: so many are read at once. */
const RERUN_PAGE = 100;

/** What operators do to the jobs that a filter means, in pages: killed half-way, the same call goes on with the rest. */
@Injectable()
export class BulkStore {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly store: JobStore,
    @Optional() private readonly redaction?: Redaction,
  ) {}

  /** How many jobs an action would be done to. */
  count(action: BulkAction, filter: JobFilter): Promise<number> {
    return countMatching(this.database, changes[action], filter, this.redaction);
  }

  /** Cancels jobs: those that wait at once; those that run are told. */
  cancel(filter: JobFilter, options: RateOptions = {}): Promise<Required<Done>> {
    return this.change('cancel', filter, options);
  }

  /** Moves jobs that wait for their time to another one: so many to each second from then on. */
  reschedule(
    filter: JobFilter,
    to: { delayMs?: number; runAt?: Date },
    options: RateOptions = {},
  ): Promise<Required<Done>> {
    return this.change('reschedule', filter, options, to);
  }

  /**
   * Enqueues ended jobs again, so many in each second. Those that were enqueued again before are left alone, so that the
   * same call can go on.
   *
   * @param make the new job; undefined when none can be made.
   */
  async rerun(
    filter: JobFilter,
    make: (job: StoredJob) => NewRecord | undefined,
    { perSecond = PER_SECOND, ...options }: RateOptions = {},
  ): Promise<Required<Done>> {
    const values = valuesOf(filter, this.redaction);
    return inPages(options, await this.timeOf({}), (position) =>
      this.database.transaction((transaction) =>
        this.rerunPage(transaction, values, position, make, perSecond),
      ),
    );
  }

  private async rerunPage(
    transaction: Queryable,
    values: unknown[],
    { start, after, count, leftOut }: Position,
    make: (job: StoredJob) => NewRecord | undefined,
    perSecond: number,
  ): Promise<Position | undefined> {
    const [at, limit] = [`$${FILTER_VALUES + 1}`, `$${FILTER_VALUES + 2}`];
    const found = await rowsOf<{ id: string }>(transaction, {
      text: `
        select id from jobs where ${matches(changes.rerun.states, 'finished_at')} and ${comesAfter(at)}
        order by id limit ${limit} for update`,
      values: [...values, after, RERUN_PAGE],
    });
    const last = found.at(-1)?.id;
    if (last === undefined) return undefined;
    // Who held the locks before may have enqueued them again: that is seen by now only.
    const jobs = await storedJobs(
      transaction,
      found.map(({ id }) => id),
      'and not exists (select from jobs r where r.rerun_of = j.id)',
    );
    const records = jobs
      .flatMap((job) => make(job) ?? [])
      .map((record, index) => ({
        ...record,
        runAt: new Date(start.getTime() + Math.floor((count + index) / perSecond) * 1_000),
      }));
    if (records.length > 0) await this.store.insertInto(transaction, records);
    return {
      start,
      after: last,
      count: count + records.length,
      leftOut: leftOut + jobs.length - records.length,
    };
  }

  private async change(
    action: BulkAction,
    filter: JobFilter,
    { perSecond, ...options }: RateOptions,
    to: { delayMs?: number; runAt?: Date } = {},
  ): Promise<Required<Done>> {
    const values = valuesOf(filter, this.redaction);
    return inPages(options, await this.timeOf(to), (position) =>
      changePage(this.database, changes[action], values, position, perSecond),
    );
  }

  /** A time by the database's clock. */
  private async timeOf({ delayMs, runAt }: { delayMs?: number; runAt?: Date }): Promise<Date> {
    const [row] = await rowsOf<{ at: Date }>(this.database, {
      text: `select coalesce($2::timestamptz, now() + $1::float8 * interval '1 millisecond') as at`,
      values: [delayMs ?? 0, runAt ?? null],
    });
    return row?.at as Date;
  }
}
