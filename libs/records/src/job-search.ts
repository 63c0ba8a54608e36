import { Injectable } from '@nestjs/common';
import type { JobView } from '#resources';
import { saidInSql } from './error-form.js';
import { DIED_AT, type ListFilter } from './job-queries.js';
import { RecordsDatabase, rowsOf } from './records-database.js';
import { jobsIn } from './statements.js';

/** A job in a list, with the beginning of what its newest failed attempt died of. */
export type FoundJob = Pick<
  JobView,
  'id' | 'name' | 'queue' | 'state' | 'attempt' | 'maxAttempts' | 'progress'
> &
  Pick<JobView, 'createdAt' | 'runAt' | 'startedAt' | 'finishedAt'> & { error: string | null };

export interface JobsFound {
  items: FoundJob[];
  /** `before` of what comes next; null at the end. */
  next: string | null;
  /** The page is not full because so many jobs were looked at; further back there may be more. */
  isCutOff: boolean;
  /** How far back was looked, then. */
  lookedBackTo: Date | null;
}

/** Jobs that one search looks at, in some tens of milliseconds. Those of one state are scattered, which makes each dearer. */
const WINDOW = 20_000;
const SCATTERED_WINDOW = 4_000;

/** Finds jobs for people, always at once: without indexes the newest are gone through, and it says where it can go on. */
@Injectable()
export class JobSearch {
  constructor(private readonly database: RecordsDatabase) {}

  async find(filter: ListFilter): Promise<JobsFound> {
    const { limit } = filter;
    const { statement, window } = searching(filter);
    const rows = await rowsOf<FoundJob & { lastSeen: string | null; lastSeenAt: Date | null; seen: number }>(
      this.database,
      statement,
    );
    const { seen = 0, lastSeen = null, lastSeenAt: lookedBackTo = null } = rows[0] ?? {};
    const found = rows
      .filter(({ id }) => id !== null)
      .map(({ seen: _, lastSeen: __, lastSeenAt: ___, ...job }) => job);
    const items = found.slice(0, limit);
    if (found.length > limit) return { items, next: items.at(-1)?.id ?? null, isCutOff: false, lookedBackTo };
    const isCutOff = seen === window;
    return { items, next: isCutOff ? lastSeen : null, isCutOff, lookedBackTo };
  }
}

/** @returns also how many jobs are looked at one by one; undefined where indexes find all that is looked for. */
function searching({ state, name, queue, batch, before, limit }: ListFilter) {
  const values: unknown[] = [];
  const where = (column: string, operator: string, value: unknown) =>
    value === undefined ? [] : [`${column} ${operator} $${values.push(value)}`];
  // The jobs of a batch are ten thousand at most, and were made at one time: looked for from the newest job of all on,
  // they would come last. `offset 0` has PostgreSQL take them first.
  const ofBatch = where('batch', '=', batch);
  const source = batch ? `(select * from jobs ${all(ofBatch)} offset 0) jobs` : `${jobsIn(state)} jobs`;
  // What indexes answer narrows what is gone through; the rest is looked at one by one.
  const hasIndex = state !== 'succeeded';
  const ofState = where('state', '=', state);
  // Ids that other programs gave say nothing of time, and many dead letters have such.
  const time = state === 'dead' ? 'finished_at' : undefined;
  const order = time ? `${time} desc, id desc` : 'id desc';
  const beforeId = where('id', '<', before).map((condition) =>
    time ? `(${time}, id) < ((${DIED_AT} where id = $${values.length}), $${values.length}::uuid)` : condition,
  );
  const oneByOne = [...where('name', '=', name), ...where('queue', '=', queue), ...(hasIndex ? [] : ofState)];
  const isScattered = batch !== undefined || (state !== undefined && hasIndex);
  const window = oneByOne.length === 0 ? undefined : isScattered ? SCATTERED_WINDOW : WINDOW;
  const seen = `select id, name, queue, state, created_at, finished_at from ${source}
      ${all([...beforeId, ...(hasIndex ? ofState : [])])} order by ${order} limit $${values.push(window ?? limit + 1)}`;
  const found = `select id, finished_at from seen ${all(oneByOne)} order by ${order} limit $${values.push(limit + 1)}`;
  // Without a name, so that it is planned for this state: the index on states leaves one of them out.
  const text = `
    with seen as materialized (${seen}), found as (${found}), counted as (
      select count(*)::int as seen, (array_agg(id))[count(*)] as last_seen,
        (array_agg(${time ?? 'created_at'}))[count(*)] as last_seen_at
      from seen
    )
    select j.id, j.name, j.queue, j.state, j.attempt, j.max_attempts as "maxAttempts", j.progress,
      j.created_at as "createdAt", j.run_at as "runAt", j.started_at as "startedAt", j.finished_at as "finishedAt",
      c.seen, c.last_seen as "lastSeen", c.last_seen_at as "lastSeenAt",
      case when j.state <> 'succeeded' then left(${saidInSql(`j.attempts -> -1 -> 'error'`)}, 200) end as error
    from counted c left join (found f join jobs j on j.id = f.id) on true
    order by ${time ? `f.${time} desc, f.id desc` : 'f.id desc'}`;
  return { statement: { text, values }, window };
}

const all = (conditions: string[]) => (conditions.length > 0 ? `where ${conditions.join(' and ')}` : '');
