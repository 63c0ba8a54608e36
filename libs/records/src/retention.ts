import { Injectable } from '@nestjs/common';
import { Database } from './database.js';
import { WORKER_LOCK_CLASS } from './presence.js';
import { lockOf } from './statements.js';
import { MINUTE_S } from './throughput.js';

/**
 * The tables that grow, and which of their rows go: those that ended before `past`. Dead jobs stay: each has a copy in
 * its queue's dead-letter queue, and both are kept until someone replays or discards them.
 */
const past = `now() - $1 * interval '1 millisecond'`;
const tables: Record<string, string> = {
  jobs: `state in ('succeeded', 'cancelled', 'discarded') and finished_at < ${past}`,
  schedule_ticks: `decided_at < ${past}`,
  job_keys: `not until_ended and expires_at < ${past}`,
  throughput: `at < now() - least($1 * interval '1 millisecond',
    case step_s when ${MINUTE_S} then interval '1 day' else interval '7 days' end)`,
  // Who did what may be asked long after the jobs are gone.
  audit: `at < now() - greatest($1 * interval '1 millisecond', interval '365 days')`,
  batches: `completed_at < ${past} and not exists (select from jobs where jobs.batch = batches.id)`,
  // After jobs: of those that are left, none names a worker that was gone before they ended.
  workers: `seen_at < ${past} and not exists (${lockOf('workers.id', String(WORKER_LOCK_CLASS))})`,
};

/** Pages of 8 KiB that one statement goes through: some thousand rows, in some milliseconds. */
const STEP_PAGES = 256;

/** One step of pruning. */
export interface Pruned {
  table: string;
  deleted: number;
  /** How much of all tables is done, from 0 to 1. */
  fraction: number;
}

/**
 * Deletes what is past keeping. The tables are gone through once from their first page to their last, a small piece a
 * statement, so nobody waits for it and no index has to be kept for it.
 */
@Injectable()
export class Retention {
  constructor(private readonly database: Database) {}

  /** @param keepMs how long rows are kept after they ended, in milliseconds. */
  async *prune(keepMs: number): AsyncGenerator<Pruned> {
    const sizes = await Promise.all(Object.keys(tables).map((table) => this.pagesOf(table)));
    const total = sizes.reduce((sum, pages) => sum + pages, 0);
    let before = 0;
    for (const [index, [table, isPast]] of Object.entries(tables).entries()) {
      const pages = sizes[index] as number;
      for (let page = 0; page < pages; page += STEP_PAGES) {
        const deleted = await this.step(table, isPast, keepMs, page);
        yield { table, deleted, fraction: (before + Math.min(page + STEP_PAGES, pages)) / total };
      }
      before += pages;
    }
  }

  private async step(table: string, isPast: string, keepMs: number, page: number): Promise<number> {
    const { rows } = await this.database.query<{ deleted: number }>({
      text: `
        with gone as (
          delete from ${table} where ctid >= $2::tid and ctid < $3::tid and ${isPast} returning 1
        )
        select count(*)::int as deleted from gone`,
      values: [keepMs, `(${page},0)`, `(${page + STEP_PAGES},0)`],
    });
    return rows[0]?.deleted ?? 0;
  }

  private async pagesOf(table: string): Promise<number> {
    const { rows } = await this.database.query<{ pages: number }>({
      text: `select (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int as pages`,
      values: [table],
    });
    return rows[0]?.pages ?? 0;
  }
}
