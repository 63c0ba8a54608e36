import type { JobState } from '#define-job';
import { formOf, saidInSql } from './error-form.js';
import type { Redaction } from './job-queries.js';
import { IS_FREE } from './statements.js';
import { hasValue, hiddenAt, type Where } from './where.js';

/** Which jobs an action is meant for, and what of the statements about them is more than a line. */

/** Which dead letters are meant; absent means any. */
export interface DeadLetterFilter {
  ids?: readonly string[];
  queue?: string;
  name?: string;
  /**
   * Part of the first 300 characters of their last error's message, in whatever case. `#` stands for any number or
   * UUID; numbers stand for themselves, which takes a second for a hundred thousand letters.
   */
  error?: string;
  /** The whole of it in the form that {@link DeadJobStore.groups} gives. */
  errorForm?: string;
  /** When they died: from then on. */
  from?: Date;
  /** Before then. */
  to?: Date;
  tag?: string;
  where?: Where;
}

/** Which jobs are meant. The times are those of their end, or, of jobs that have not ended, of their enqueueing. */
export interface JobFilter extends DeadLetterFilter {
  state?: JobState;
}

/**
 * The jobs that a filter means, but for the text in their errors. Read from an index, as errors take many pages. Only
 * a text with a number in it is looked for in the message, since forms have none.
 *
 * @param states what an action can be done to, in SQL. @param time the column that `from` and `to` are about.
 */
const matchesButForm = (states: string, time: string) => `
  ${states} and ($1::uuid[] is null or id = any ($1)) and ($2::text is null or queue = $2)
  and ($3::text is null or name = $3)
  and ($4::text is null or $4 !~ '\\d'
    or position(lower($4 collate "C") in lower(${saidInSql(`attempts -> -1 -> 'error'`)} collate "C")) > 0)
  and ($5::text is null or error_form = $5)
  and ($6::timestamptz is null or ${time} >= $6) and ($7::timestamptz is null or ${time} < $7)
  and ($8::jsonb is null or tags @> $8) and ($9::text is null or state = $9)
  and ($10::text[] is null or ${hasValue({ path: '$10', value: '$11', hidden: '$12' })})`;
const FORM_MATCHES = `($4::text is null or position(lower(${formOf('$4')}) in lower(error_form)) > 0)`;
export const matches = (states: string, time: string) =>
  `${matchesButForm(states, time)} and ${FORM_MATCHES}`;

/** How many values {@link valuesOf} gives: further ones come after them. */
export const FILTER_VALUES = 12;

/** @throws InputError when it looks for what is secret. */
export const valuesOf = (
  { ids, queue, name, error, errorForm, from, to, tag, state, where }: JobFilter,
  redaction: Redaction | undefined,
): unknown[] =>
  [
    ...[ids, queue, name, error, errorForm, from, to, tag && JSON.stringify([tag]), state],
    ...(where ? [where.path, where.value, hiddenAt(where, redaction)] : [null, null, null]),
  ].map((value) => value ?? null);

export const IS_DEAD = `state = 'dead'`;
/** The groups of what a filter means. Materialized, the text is looked for once in each group: in half the time. */
export const GROUPS = `
  with everything as materialized (
    select queue, name, error_form, count(*)::int as count, min(finished_at) as oldest, max(finished_at) as newest
    from jobs where ${matchesButForm(IS_DEAD, 'finished_at')} group by error_form, queue, name
  ), groups as (select * from everything where ${FORM_MATCHES})`;

/** Takes the jobs' unique keys, as enqueueing does: of those that want one, its last holder or the oldest gets it. */
export const TAKE_KEYS = `
  wanted as (
    select f.id, 'unique:' || f.name as scope, coalesce(f.unique_key, (
      select key from job_keys where job = f.id and until_ended)) as key
    from found f
  ), taken as (
    insert into job_keys as held (scope, key, job, expires_at, until_ended)
    select distinct on (w.scope, w.key) w.scope, w.key, w.id, now(), true
    from wanted w left join job_keys k on k.job = w.id and k.scope = w.scope and k.key = w.key
    where w.key is not null order by w.scope, w.key, k.job is null, w.id
    on conflict (scope, key) do update set job = excluded.job
    where held.job = excluded.job or ${IS_FREE}
    returning job
  ), allowed as (select id from wanted where key is null or id in (select job from taken))`;
export const TAKE_NOTHING = 'allowed as (select id from found)';
