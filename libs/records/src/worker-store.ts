import { Injectable } from '@nestjs/common';
import type { WorkerState, WorkerView } from '#resources';
import type { Known } from './job-record.js';
import { RecordsDatabase, rowsOf } from './records-database.js';
import { lockOf } from './statements.js';
import { WorkerLock } from './worker-lock.js';

/** Running jobs that are shown of one worker; there may be thousands. */
const SHOWN_JOBS = 100;

export interface WorkerReport extends Pick<WorkerView, 'queues' | 'eventLoopLagMs' | 'rssBytes'> {
  /** What it knows, for the jobs that are held for such a worker. */
  contracts: Known;
}

/** What a worker is told again and again. */
export interface Orders {
  /** The queues that are paused. */
  paused: ReadonlySet<string>;
  state: WorkerState;
}

/** The live worker processes, with their reports, and what operators want of them. */
@Injectable()
export class WorkerStore {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly lock: WorkerLock,
  ) {}

  async report({ queues, contracts, eventLoopLagMs, rssBytes }: WorkerReport): Promise<void> {
    await this.database.query({
      name: 'report-worker',
      text: `
        update workers set queues = $2, event_loop_lag_ms = $3, rss_bytes = $4, contracts = $5, seen_at = now()
        where id = $1`,
      values: [await this.lock.id(), queues, eventLoopLagMs, rssBytes, contracts],
    });
  }

  /** What this worker is to do. @throws DatabaseUnavailableError */
  async orders(): Promise<Orders> {
    const [row] = await rowsOf<{ paused: string[]; state: WorkerState }>(this.database, {
      name: 'worker-orders',
      text: 'select state, array(select queue from paused_queues) as paused from workers where id = $1',
      values: [await this.lock.id()],
    });
    return { paused: new Set(row?.paused), state: row?.state ?? 'working' };
  }

  /**
   * Asks something of a worker that is alive. One that is to stop stays so.
   *
   * @param which its id or its name. @returns the worker as it was; undefined when there is none.
   */
  async ask(which: string, state: WorkerState): Promise<WorkerView | undefined> {
    const worker = (await this.list()).find(({ id, name }) => which === String(id) || which === name);
    await this.database.query({
      name: 'ask-worker',
      text: `update workers set state = $2 where id = $1 and state not in ($2, 'stopping')`,
      values: [worker?.id, state],
    });
    return worker;
  }

  /** The workers that hold their session lock at this moment, and what the records say that they run; oldest first. */
  async list(): Promise<WorkerView[]> {
    const { rows } = await this.database.query<WorkerView>({
      name: 'list-workers',
      text: `
        with held as (
          select worker, count(*)::int as running from jobs where state = 'running' group by worker
        )
        select w.id, w.name, w.state, w.started_at as "startedAt", w.queues, w.event_loop_lag_ms as "eventLoopLagMs",
               w.rss_bytes::float8 as "rssBytes", w.seen_at as "lastSeen", coalesce(h.running, 0) as running,
               coalesce(j.jobs, '[]') as jobs
        from workers w
        left join held h on h.worker = w.id
        left join lateral (
          select json_agg(json_build_object('id', id, 'name', name, 'queue', queue, 'attempt', attempt,
                   'startedAt', started_at) order by started_at) as jobs
          from (
            select id, name, queue, attempt, started_at from jobs
            where state = 'running' and worker = w.id
            order by started_at limit ${SHOWN_JOBS}
          ) shown
        ) j on h.running > 0
        where exists (${lockOf('w.id')})
        order by w.id`,
    });
    return rows.map((row) => ({
      ...row,
      jobs: row.jobs.map((job) => ({ ...job, startedAt: new Date(job.startedAt) })),
    }));
  }
}
