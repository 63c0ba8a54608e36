import { Injectable, Optional } from '@nestjs/common';
import type { Done } from '#resources';
import type { JobFilter } from './job-filter.js';
import { type BulkChange, JobPages, PER_SECOND, type RateOptions, type Start } from './job-pages.js';
import { Redaction } from './job-queries.js';
import type { NewRecord } from './job-record.js';
import { JobStore } from './job-store.js';
import { CANCEL, OPEN_STATES } from './jobs-in-sql.js';
import { RecordsDatabase } from './records-database.js';
import { withStartBy } from './start-by.js';
import type { StoredJob } from './stored-job.js';

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

/** What operators do to the jobs that a filter means. */
@Injectable()
export class BulkStore extends JobPages {
  constructor(
    database: RecordsDatabase,
    private readonly store: JobStore,
    @Optional() redaction?: Redaction,
  ) {
    super(database, redaction);
  }

  /** How many jobs an action would be done to. */
  count(action: BulkAction, filter: JobFilter): Promise<number> {
    return this.countOf(changes[action], filter);
  }

  /** Cancels jobs: those that wait at once; those that run are told. */
  cancel(filter: JobFilter, options: RateOptions = {}): Promise<Required<Done>> {
    return this.changeAll(changes.cancel, filter, options);
  }

  /** Moves jobs that wait for their time to another one: so many to each second from then on. */
  reschedule(filter: JobFilter, to: Start, options: RateOptions = {}): Promise<Required<Done>> {
    return this.changeAll(changes.reschedule, filter, options, to);
  }

  /**
   * Enqueues ended jobs again, so many in each second. Those that were enqueued again before are left alone, so that the
   * same call can go on.
   *
   * @param make the new job; undefined when none can be made.
   */
  rerun(
    filter: JobFilter,
    make: (job: StoredJob) => NewRecord | undefined,
    { perSecond = PER_SECOND, ...options }: RateOptions = {},
  ): Promise<Required<Done>> {
    return this.readAll(
      changes.rerun,
      filter,
      options,
      async (transaction, jobs, { start, count }) => {
        const records = jobs.flatMap((job) => make(job) ?? []);
        const timed = records.map((record, index) => ({
          ...record,
          runAt: new Date(start.getTime() + Math.floor((count + index) / perSecond) * 1_000),
        }));
        if (timed.length > 0) await this.store.insertMany(timed, transaction);
        return timed.length;
      },
      // Who held the locks before may have enqueued them again: that is seen by now only.
      'and not exists (select from jobs r where r.rerun_of = j.id)',
    );
  }
}
