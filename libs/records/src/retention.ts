import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { AgedState } from '#define-job';
import { DatabaseUnavailableError } from './database-errors.js';
import { RecordsDatabase } from './records-database.js';
import { lockOf } from './statements.js';
import { MINUTE_S } from './throughput.js';

/** How long rows are kept, in milliseconds: jobs by the state that they ended in, all else by `others`. Dead jobs stay. */
export interface Ages extends Readonly<Record<AgedState | 'others', number>> {
  /** Of jobs with these names, where they differ. */
  readonly names?: Readonly<Record<string, Partial<Record<AgedState, number>>>>;
}

/** Rows that ended before this time have expired. A state without an age has no such time. */
const before = (age: string) => `now() - (${age})::float8 * interval '1 millisecond'`;
const past = (age: string) => before(`$1::jsonb ->> ${age}`);
/** The tables that grow, and the rows to delete. */
const tables: Record<string, string> = {
  // The message of a job that was cancelled between two attempts comes back at run_at, and would make its record again.
  // That of a key stays for as long as the key (P13); asked in a way that is never a join, which would read all keys.
  jobs: `greatest(finished_at, run_at) <
      ${before(`coalesce($1::jsonb -> 'names' -> name ->> state, $1::jsonb ->> state)`)}
    and coalesce((select max(expires_at) from job_keys where job = jobs.id) <= now(), true)`,
  // Asked in a way that is never a join either.
  job_logs: `(select count(*) from jobs where id = job_logs.job) = 0`,
  schedule_ticks: `decided_at < ${past(`'others'`)}`,
  job_keys: `not until_ended and expires_at < ${past(`'others'`)} and (not until_started or job_has_started(job))`,
  batches: `completed_at < ${past(`'others'`)} and not exists (select from jobs where jobs.batch = batches.id)`,
  // As others are, but no longer than the dashboard shows them.
  throughput: `at < greatest(${past(`'others'`)},
    now() - case step_s when ${MINUTE_S} then interval '1 day' else interval '7 days' end)`,
  // Audits are needed long after the jobs were deleted.
  audit: `at < least(${past(`'others'`)}, now() - interval '365 days')`,
  // After jobs: of those that are left, none names a worker that was gone before they ended.
  workers: `seen_at < ${past(`'others'`)} and not exists (${lockOf('workers.id')})`,
};

/** Pages of 8 KiB that one statement goes through: some hundred rows, in some milliseconds. */
const STEP_PAGES = 64;
/** After each step the database is left alone for as long as that took, so that jobs always find half of it free. */
const REST_FACTOR = 1;

export interface Pruned {
  table: string;
  deleted: number;
  /** How much of all tables is done, from 0 to 1. */
  fraction: number;
}

/** Deletes what has expired, a few pages a statement and without an index: see docs/decisions/0006 for the figures. */
@Injectable()
export class Retention {
  constructor(private readonly database: RecordsDatabase) {}

  /**
   * Ends after the current step when its consumer does.
   *
   * @throws at the end, when a piece of a table could not be pruned; all others are.
   */
  async *prune(ages: Ages): AsyncGenerator<Pruned> {
    let failure: Error | undefined;
    const sizes = await Promise.all(Object.keys(tables).map((table) => this.pagesOf(table)));
    const total = sizes.reduce((sum, pages) => sum + pages, 0);
    let before = 0;
    for (const [index, [table, isPast]] of Object.entries(tables).entries()) {
      const pages = sizes[index] as number;
      for (let page = 0; page < pages; page += STEP_PAGES) {
        const startedAt = performance.now();
        const deleted = await this.step(table, isPast, ages, page).catch((error) => {
          if (error instanceof DatabaseUnavailableError) throw error;
          failure ??= new Error(`The table ${table} could not be pruned: ${error.message}`, { cause: error });
          return 0;
        });
        const tookMs = performance.now() - startedAt;
        yield { table, deleted, fraction: (before + Math.min(page + STEP_PAGES, pages)) / total };
        await pause(REST_FACTOR * tookMs);
      }
      before += pages;
    }
    if (failure) throw failure;
  }

  private async step(table: string, isPast: string, ages: Ages, page: number): Promise<number> {
    const { rows } = await this.database.query<{ deleted: number }>({
      text: `
        with gone as (
          -- the ages are not asked for by all
          delete from ${table} where $1::jsonb is not null and ctid >= $2::tid and ctid < $3::tid and ${isPast} returning 1
        )
        select count(*)::int as deleted from gone`,
      values: [JSON.stringify(ages), `(${page},0)`, `(${page + STEP_PAGES},0)`],
    });
    return rows[0]?.deleted ?? 0;
  }

  private async pagesOf(table: string): Promise<number> {
    const { rows } = await this.database.query<{ pages: number }>({
      text: `select (pg_relation_size(to_regclass($1)) / current_setting('block_size')::int)::int as pages`,
      values: [table],
    });
    return rows[0]?.pages ?? 0;
  }
}
