import { Injectable, Optional } from '@nestjs/common';
import type { JobView } from '#resources';
import { saidInSql } from './error-form.js';
import { DIED_AT, JobQueries, type ListFilter, Redaction } from './job-queries.js';
import { RecordsDatabase, rowsOf } from './records-database.js';
import { jobsIn } from './statements.js';
import { hasValue, hiddenAt, type Where } from './where.js';

/** A job in a list, with the beginning of what its newest failed attempt died of. */
export type FoundJob = Pick<
  JobView,
  'id' | 'name' | 'queue' | 'state' | 'attempt' | 'maxAttempts' | 'progress' | 'tags'
> &
  Pick<JobView, 'createdAt' | 'runAt' | 'startedAt' | 'finishedAt'> & { error: string | null };

export interface SearchFilter extends ListFilter {
  where?: Where;
}

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
/** The same where payloads are looked into, which may be long: so many at once, until a second is over. */
const PAYLOAD_WINDOW = 500;
const MAX_PAYLOADS = 10_000;
const MAX_MS = 1_000;
/** Tags are counted of the newest jobs that have some. */
const TAGGED_JOBS = 10_000;
const SHOWN_TAGS = 200;

/** How long jobs of a contract have waited for a worker, and have run: of half of them at most, and of 95 %, in milliseconds. */
export interface ContractTimes {
  name: string;
  count: number;
  waited: [p50: number, p95: number];
  ran: [p50: number, p95: number];
}

const MS_BETWEEN = (from: string, to: string) => `round(extract(epoch from ${to} - ${from}) * 1000)::float8`;

/** Finds jobs for people, always at once: without indexes the newest are gone through, and it says where it can go on. */
@Injectable()
export class JobSearch {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly views: JobQueries,
    @Optional() private readonly redaction?: Redaction,
  ) {}

  /** Of the newest jobs those that have succeeded, by contract. */
  times(): Promise<ContractTimes[]> {
    const both = (ms: string) => `percentile_disc(array[0.5, 0.95]) within group (order by ${ms})`;
    return rowsOf(this.database, {
      name: 'contract-times',
      text: `
        select name, count(*)::int as count, ${both(MS_BETWEEN('least(run_at, started_at)', 'started_at'))} as waited,
          ${both(MS_BETWEEN('started_at', 'finished_at'))} as ran
        from (select name, state, run_at, started_at, finished_at from jobs order by id desc limit ${WINDOW}) newest
        where state = 'succeeded' and started_at is not null group by name order by name`,
      values: [],
    });
  }

  /** A page of jobs as {@link JobQueries.list} has them. @returns also how far back was looked when it might be full otherwise. */
  async list(
    filter: SearchFilter,
  ): Promise<{ items: JobView[]; next: string | null; lookedBackTo: Date | null }> {
    if (!filter.where) {
      const items = await this.views.list(filter);
      // A full page may have a next one.
      const next = items.length === filter.limit ? (items.at(-1)?.id ?? null) : null;
      return { items, next, lookedBackTo: null };
    }
    const { items, next, isCutOff, lookedBackTo } = await this.find(filter);
    const views = await this.views.listed(items.map(({ id }) => id));
    return { items: views, next, lookedBackTo: isCutOff ? lookedBackTo : null };
  }

  async find(filter: SearchFilter): Promise<JobsFound> {
    if (!filter.where) return this.look(filter);
    const items: FoundJob[] = [];
    const end = performance.now() + MAX_MS;
    for (let { before } = filter, looked = 0; ; looked += PAYLOAD_WINDOW) {
      const page = await this.look({ ...filter, before, limit: filter.limit - items.length });
      items.push(...page.items);
      const isEnough = items.length === filter.limit || looked >= MAX_PAYLOADS || performance.now() > end;
      if (isEnough || !page.isCutOff || !page.next) return { ...page, items };
      before = page.next;
    }
  }

  /** The tags of the newest jobs, those of most jobs first. @returns also how far back was looked, if not at all of them. */
  async tags(): Promise<{ items: { tag: string; count: number }[]; lookedBackTo: Date | null }> {
    const rows = await rowsOf<{ tag: string; count: number; at: Date | null }>(this.database, {
      name: 'tags',
      text: `
        with newest as materialized (
          select tags, created_at from jobs where tags is not null order by id desc limit $1
        )
        select tag, count(*)::int as count, (
            select case when count(*) = $1 then min(created_at) end from newest) as at
        from newest, jsonb_array_elements_text(tags) tag
        group by tag order by count(*) desc, tag limit $2`,
      values: [TAGGED_JOBS, SHOWN_TAGS],
    });
    return { items: rows.map(({ tag, count }) => ({ tag, count })), lookedBackTo: rows[0]?.at ?? null };
  }

  private async look(filter: SearchFilter): Promise<JobsFound> {
    const { limit } = filter;
    const { statement, window } = searching(filter, filter.where && hiddenAt(filter.where, this.redaction));
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
function searching(
  { state, name, queue, batch, tag, where: sought, before, limit }: SearchFilter,
  hidden: string[] = [],
) {
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
  const ofTag = where('tags', '@>', tag && JSON.stringify([tag]));
  const put = (value: unknown) => `$${values.push(value)}`;
  const ofPayload = sought
    ? [hasValue({ path: put(sought.path), value: put(sought.value), hidden: put(hidden) })]
    : [];
  const oneByOne = [
    ...where('name', '=', name),
    ...where('queue', '=', queue),
    ...(hasIndex ? [] : ofState),
    ...ofPayload,
  ];
  const isScattered = batch !== undefined || tag !== undefined || (state !== undefined && hasIndex);
  const perStatement = sought ? PAYLOAD_WINDOW : isScattered ? SCATTERED_WINDOW : WINDOW;
  const window = oneByOne.length === 0 ? undefined : perStatement;
  const seen = `select id, name, queue, state, created_at, finished_at${sought ? ', payload' : ''} from ${source}
      ${all([...beforeId, ...ofTag, ...(hasIndex ? ofState : [])])} order by ${order} limit $${values.push(window ?? limit + 1)}`;
  const found = `select id, finished_at from seen ${all(oneByOne)} order by ${order} limit $${values.push(limit + 1)}`;
  // Without a name, so that it is planned for this state: the index on states leaves one of them out.
  const text = `
    with seen as materialized (${seen}), found as (${found}), counted as (
      select count(*)::int as seen, (array_agg(id))[count(*)] as last_seen,
        (array_agg(${time ?? 'created_at'}))[count(*)] as last_seen_at
      from seen
    )
    select j.id, j.name, j.queue, j.state, j.attempt, j.max_attempts as "maxAttempts", j.progress, coalesce(j.tags, '[]') as tags,
      j.created_at as "createdAt", j.run_at as "runAt", j.started_at as "startedAt", j.finished_at as "finishedAt",
      c.seen, c.last_seen as "lastSeen", c.last_seen_at as "lastSeenAt",
      case when j.state <> 'succeeded' then left(${saidInSql(`j.attempts -> -1 -> 'error'`)}, 200) end as error
    from counted c left join (found f join jobs j on j.id = f.id) on true
    order by ${time ? `f.${time} desc, f.id desc` : 'f.id desc'}`;
  return { statement: { text, values }, window };
}

const all = (conditions: string[]) => (conditions.length > 0 ? `where ${conditions.join(' and ')}` : '');
