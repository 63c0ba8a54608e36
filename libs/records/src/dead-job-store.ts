import { Injectable } from '@nestjs/common';
import type { JobState } from '#define-job';
import type { DeadGroup, Done } from '#resources';
import { columns } from './columns.js';
import { formOf, saidInSql } from './error-form.js';
import { insertFollowing } from './following.js';
import { type DeadLetterFilter, GROUPS, IS_DEAD, TAKE_KEYS, valuesOf } from './job-filter.js';
import { type BulkChange, type BulkOptions, changePage, JobPages, type RateOptions } from './job-pages.js';
import type { FollowingRecord, Taken } from './job-record.js';
import { type Queryable, rowsOf } from './records-database.js';
import { epochMs, IS_LATE, withStartBy } from './start-by.js';
import { comesAfter } from './statements.js';
import type { StoredJob } from './stored-job.js';

/** A dead letter whose payload is to be edited, as JSON text. */
export type Editable = Pick<StoredJob, 'id' | 'name' | 'queue' | 'payload' | 'version' | 'options'>;

/** What a dead letter becomes; undefined when what is made of it does not fit, so that it stays as it is. */
export type Edit = (job: Editable) => (Editable & { maxAttempts: number }) | undefined;

/** Jobs that one statement compares. */
const PAGE = 1_000;
export const SHOWN_GROUPS = 200;

export interface ReplayOptions extends RateOptions {
  /** Gives each of them another payload; the one that it was enqueued with is kept beside that. */
  edit?: Edit;
}

// A new claim number: the note that the dead letter was published must not be taken for one of the job's message.
const REPLAY: BulkChange = {
  ...{ states: IS_DEAD, time: 'finished_at', allowed: TAKE_KEYS },
  set: `
    state = case when page.run_at > now() then 'scheduled' else 'queued' end, run_at = page.run_at, error_form = '',
    publish_at = page.run_at, held_until = null, claim = claim + 1, attempt = 0, crashes = 0, finished_at = null,
    progress = null, progress_note = null, cancel_requested_at = null,
    options = ${withStartBy('jobs.options', 'page.run_at')}`,
};
const DISCARD: BulkChange = {
  ...{ states: IS_DEAD, time: 'finished_at' },
  set: `state = 'discarded', finished_at = now(), publish_at = null, error_form = ''`,
};

/** What a record says of a job whose message lies in a dead-letter queue. */
export interface DeadLetterState {
  id: string;
  name: string;
  state: JobState;
  queue: string;
  attempt: number;
}

/** A job that waits, and is to be dead. */
export interface Death {
  id: string;
  /** The one that would have been next. */
  attempt: number;
  /** Where it is a dead letter. */
  queue: string;
  /** What the record says of it, as JSON text. */
  error: string;
  /** The job that is accepted then. */
  onDead?: FollowingRecord;
}

/** What is known of a job that is about to be dead. */
export interface Dying extends Pick<Taken, 'version' | 'options' | 'tags'> {
  id: string;
  name: string;
  /** As JSON text. */
  payload: string | null;
  traceparent: string | null;
}

/** How many dead records a queue has, and of how many the letter may not be in the broker yet. */
export interface DeadCount {
  queue: string;
  dead: number;
  pending: number;
}

/** Dead jobs. Replays and discards change the records only; `DeadLetterKeeper` makes the dead-letter queues follow. */
@Injectable()
export class DeadJobStore extends JobPages {
  /**
   * Sends dead letters back to work, attempts and crashes counted from zero; the relay publishes them, so many in each
   * second. In pages: killed half-way, the rest is still dead, and the same call goes on with it. Jobs whose unique key
   * another one holds are left out, and stay dead.
   *
   * @returns how many.
   */
  async replay(filter: DeadLetterFilter, options: ReplayOptions = {}): Promise<number> {
    return (await this.replayAll(filter, options)).count;
  }

  /** As {@link replay}. @returns how many, and how many were left out: those whose edited payload does not fit, too. */
  replayAll(
    filter: DeadLetterFilter,
    { perSecond, edit, ...options }: ReplayOptions = {},
  ): Promise<Required<Done>> {
    if (!edit) return this.changeAll(REPLAY, filter, { perSecond, ...options });
    return this.readAll(REPLAY, filter, options, async (transaction, jobs, position) => {
      const edited = jobs.flatMap((job) => edit(job) ?? []);
      const values = valuesOf({ ids: edited.map(({ id }) => id) }, undefined);
      const done = await changePage(transaction, REPLAY, values, { ...position, after: null }, perSecond);
      if (done) await writeEdited(transaction, edited);
      return done ? done.count - position.count : 0;
    });
  }

  /** The job that holds the unique key of another one, which therefore cannot be replayed. */
  async keyHolder(id: string): Promise<string | undefined> {
    const [row] = await rowsOf<{ job: string }>(this.database, {
      name: 'key-holder',
      text: `
        select k.job from jobs j join job_keys k on k.scope = 'unique:' || j.name and k.key = j.unique_key
        where j.id = $1 and k.job <> j.id`,
      values: [id],
    });
    return row?.job;
  }

  /** Gives dead letters up for good; their records stay. In pages, as {@link replay}. @returns how many. */
  async discard(filter: DeadLetterFilter, options: BulkOptions = {}): Promise<number> {
    return (await this.changeAll(DISCARD, filter, options)).count;
  }

  async count(filter: DeadLetterFilter = {}): Promise<number> {
    if (filter.error === undefined) return this.countOf(REPLAY, filter);
    const [row] = await rowsOf<{ count: number }>(this.database, {
      text: `${GROUPS} select coalesce(sum(count), 0)::int as count from groups`,
      values: this.valuesOf(filter),
    });
    return row?.count ?? 0;
  }

  /** How many dead letters a filter means, and what they died of, the largest groups first, two hundred at most. */
  async groups(filter: DeadLetterFilter = {}): Promise<{ count: number; groups: DeadGroup[] }> {
    const rows = await rowsOf<DeadGroup & { total: number }>(this.database, {
      text: `
        ${GROUPS}
        select g.*, (
          select id from jobs
          where state = 'dead' and error_form = g."errorForm" and queue = g.queue and name = g.name
            and finished_at = g.newest
          limit 1) as example
        from (
          select queue, name, error_form as "errorForm", count, oldest, newest, (sum(count) over ())::int as total
          from groups order by count desc, newest desc limit ${SHOWN_GROUPS}
        ) g`,
      values: this.valuesOf(filter),
    });
    return { count: rows[0]?.total ?? 0, groups: rows.map(({ total: _, ...group }) => group) };
  }

  async counts(): Promise<DeadCount[]> {
    return rowsOf(this.database, {
      name: 'dead-counts',
      text: `
        select d.queue, d.dead, coalesce(o.pending, 0) as pending
        from (select queue, count(*)::int as dead from jobs where state = 'dead' group by queue) d
        left join (
          select queue, count(*)::int as pending from jobs where publish_at is not null and state = 'dead' group by queue
        ) o on o.queue = d.queue`,
    });
  }

  /** What the records say of the jobs that these messages may stand for. */
  async statesOf(ids: readonly string[]): Promise<DeadLetterState[]> {
    return rowsOf(this.database, {
      name: 'states-of',
      text: 'select id, name, state, queue, attempt from jobs where id = any ($1::uuid[])',
      values: [ids],
    });
  }

  /** The database's time, to tell what died before from what dies meanwhile. */
  async now(): Promise<Date> {
    const [row] = await rowsOf<{ now: Date }>(this.database, {
      name: 'now',
      text: 'select now()',
    });
    return row?.now as Date;
  }

  /** The ids of the dead whose letter the broker should hold since before a time, in pages. */
  async *settledBefore(queue: string, time: Date): AsyncGenerator<string[]> {
    for (let after: string | null = null; ; ) {
      const rows: { id: string }[] = await rowsOf(this.database, {
        name: 'dead-page',
        text: `
          select id from jobs
          where state = 'dead' and queue = $1 and publish_at is null and finished_at < $2
            and ${comesAfter('$3')}
          order by id limit $4`,
        values: [queue, time, after, PAGE],
      });
      yield rows.map(({ id }) => id);
      if (rows.length < PAGE) return;
      after = rows.at(-1)?.id ?? after;
    }
  }

  /** Has the relay publish the letters of these jobs again. */
  async republish(ids: readonly string[]): Promise<void> {
    await rowsOf(this.database, {
      name: 'republish-dead',
      text: `update jobs set publish_at = now() where id = any ($1::uuid[]) and state = 'dead'`,
      values: [ids],
    });
  }

  /**
   * Dead-letters jobs that wait, and have moved on to no other attempt: the broker dead-lettered the messages of these, or
   * they could not start in time.
   *
   * @returns the names of those that are dead now.
   */
  async deadLetter(deaths: readonly Death[], why: 'by broker' | 'late'): Promise<string[]> {
    const rows = await rowsOf<{ name: string }>(this.database, {
      name: `dead-letter-${why}`,
      text: `
        with dead as (
          update jobs j set state = 'dead', queue = d.queue, attempt = d.attempt, finished_at = now(), publish_at = now(),
            held_until = null, held_for = null, limited_by = null,
            error_form = ${formOf(saidInSql('d.error'))},
            attempts = attempts || jsonb_build_object('attempt', d.attempt, 'outcome', $6::text, 'error', d.error,
              'worker', null, 'startedAt', null, 'finishedAt', now())
          from unnest($1::uuid[], $2::int[], $3::text[], $4::jsonb[], $5::json[]) as d (id, attempt, queue, error, on_dead)
          where j.id = d.id and j.attempt = d.attempt - 1
            and ${why === 'late' ? `state in ('scheduled', 'queued') and ${IS_LATE}` : `state in ('queued', 'retrying')`}
          returning j.id, j.name, j.state, d.on_dead as next, null::json as result, null::int as result_version
        ), followed as (${insertFollowing('dead')}
        )
        select name from dead`,
      values: [
        ...columns(deaths, 'id', 'attempt', 'queue', 'error', 'onDead'),
        why === 'late' ? 'failed' : 'crashed',
      ],
    });
    return rows.map(({ name }) => name);
  }

  /** What is known of jobs that are about to be dead. */
  async dying(ids: readonly string[]): Promise<Dying[]> {
    return rowsOf(this.database, {
      name: 'dying',
      text: `
        select id, name, payload::text as payload, version, options, tags, traceparent from jobs
        where id = any ($1::uuid[])`,
      values: [ids],
    });
  }

  /** The jobs that could not start in time and still wait, those that are late for longest first. */
  async late(limit: number): Promise<(Omit<Death, 'error'> & { name: string; startWithin: number })[]> {
    return rowsOf(this.database, {
      name: 'late',
      text: `
        select id, name, attempt + 1 as attempt, queue, (options ->> 'startWithin')::float8 as "startWithin" from jobs
        where options ? 'startBy' and state in ('scheduled', 'queued')
          and (options ->> 'startBy')::float8 <= ${epochMs('now()')}
        order by (options ->> 'startBy')::float8 limit $1`,
      values: [limit],
    });
  }
}

/** Gives dead letters that were replayed another payload. What was an unprocessable message is a job from then on. */
async function writeEdited(transaction: Queryable, edited: NonNullable<ReturnType<Edit>>[]): Promise<void> {
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
}
