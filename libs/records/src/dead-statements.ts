import { formOf, saidInSql } from './error-form.js';
import { IS_FREE } from './statements.js';

/** Which dead letters are meant, and what of the statements about them is more than a line. */

/**
 * The dead jobs that a filter means, but for the text in their errors. Read from an index, as errors take many pages. Only
 * a text with a number in it is looked for in the message, since forms have none.
 */
const MATCHES_BUT_FORM = `
  state = 'dead' and ($1::uuid[] is null or id = any ($1)) and ($2::text is null or queue = $2)
  and ($3::text is null or name = $3)
  and ($4::text is null or $4 !~ '\\d'
    or position(lower($4 collate "C") in lower(${saidInSql(`attempts -> -1 -> 'error'`)} collate "C")) > 0)
  and ($5::text is null or error_form = $5)
  and ($6::timestamptz is null or finished_at >= $6) and ($7::timestamptz is null or finished_at < $7)`;
const FORM_MATCHES = `($4::text is null or position(lower(${formOf('$4')}) in lower(error_form)) > 0)`;
export const MATCHES = `${MATCHES_BUT_FORM} and ${FORM_MATCHES}`;
/** The groups of what a filter means. Materialized, the text is looked for once in each group: in half the time. */
export const GROUPS = `
  with everything as materialized (
    select queue, name, error_form, count(*)::int as count, min(finished_at) as oldest, max(finished_at) as newest
    from jobs where ${MATCHES_BUT_FORM} group by error_form, queue, name
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

export const valuesOf = ({ ids, queue, name, error, errorForm, from, to }: DeadLetterFilter) =>
  [ids, queue, name, error, errorForm, from, to].map((value) => value ?? null);

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
}
