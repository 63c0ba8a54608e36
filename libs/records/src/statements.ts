import type { JobState } from '#define-job';
import { columns } from './columns.js';
import { formOf, saidInSql } from './error-form.js';
import { insertFollowing } from './following.js';
import type { JobKey, KeyedRecord, NewRecord, Settlement } from './job-record.js';
import type { Statement } from './records-database.js';
import { epochMs, withStartBy } from './start-by.js';
import { WORKER_LOCK_CLASS } from './worker-lock.js';

/** These take any number of rows, one array for each column, and read the database's clock only: others may be wrong. */

/** Finds the session lock by which a worker shows that it is alive. */
export const lockOf = (worker: string) => `select ${WORKER_LOCKS} and l.objid = ${worker}`;
const WORKER_LOCKS = `from pg_locks l
  where l.locktype = 'advisory' and l.classid = ${WORKER_LOCK_CLASS} and l.objsubid = 2 and l.granted
    and l.database = (select oid from pg_database where datname = current_database())`;
/** The workers that hold theirs. */
export const LOCKED_WORKERS = `select l.objid::int ${WORKER_LOCKS}`;

/** Arrays whose length the planner does not see: for a single row it would make a plan of its own each time. */
export const unnestUnseen = (...arrays: string[]) =>
  `unnest(${arrays.map((array) => `(select ${array})`).join(', ')})`;

/** Whether an id comes after the last one of the page before, if any. With an `or` the index could not be continued. */
export const comesAfter = (last: string) =>
  `id >= coalesce(${last}::uuid, '00000000-0000-0000-0000-000000000000') and id is distinct from ${last}`;

/** Whether the index `jobs_state` has a job. */
export const HAS_STATE_INDEXED = `state <> 'succeeded' and (state <> 'queued' or publish_at is null or held_until is not null)`;
/** Whether a queued job is not in it: the relay publishes it in seconds, unless its producer does. */
export const IS_QUEUED_IN_OUTBOX = `state = 'queued' and publish_at <= now() + interval '1 hour' and held_until is null`;

/** The table that jobs of a state are read from, newest first, so that an index finds them. */
export const jobsIn = (state?: JobState) =>
  state === 'queued'
    ? `((select * from jobs where state = 'queued' and ${HAS_STATE_INDEXED} order by id desc)
        union all (select * from jobs where ${IS_QUEUED_IN_OUTBOX} order by id desc))`
    : 'jobs';

/** @param keyed a join with the keys that were taken, which leaves the other records out. */
const insertText = (keyed = '') => `
    insert into jobs
      (id, name, queue, payload, max_attempts, version, priority, batch, next, previous, traceparent, options, tags, rerun_of,
       state, run_at, publish_at${keyed && ', unique_key'})
    select n.id, n.name, n.queue, n.payload, n.max_attempts, coalesce(n.version, 1), coalesce(n.priority, 'normal'), n.batch, n.next, n.previous, n.traceparent,
           ${withStartBy('n.options', 'greatest(n.run_at, now())')}, n.tags, n.rerun_of,
           case when n.run_at > now() then 'scheduled' else 'queued' end,
           greatest(n.run_at, now()),
           case when n.run_at > now() then n.run_at else now() + $8 * interval '1 millisecond' end${keyed && ', n.unique_key'}
    from (
      select m.id, m.name, m.queue, m.payload, m.max_attempts, m.version, m.priority, m.batch, m.next, m.previous, m.traceparent,
             m.options, m.tags, m.rerun_of,
             coalesce(m.run_at, now() + m.delay_ms * interval '1 millisecond') as run_at${keyed && ', k.unique_key'}
      from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::int[], $6::float8[], $7::timestamptz[],
                  $9::text[], $10::uuid[], $11::json[], $12::json[], $13::text[], $14::int[],
                  $15::jsonb[], $16::jsonb[], $17::uuid[])
        as m (id, name, queue, payload, max_attempts, delay_ms, run_at, priority, batch, next, previous, traceparent,
              version, options, tags, rerun_of)
      ${keyed}
    ) n
    on conflict (id) do nothing`;
const NOW = `${epochMs('now()')} as "nowMs"`;

const insertValues = (records: readonly NewRecord[], graceMs: number): unknown[] => [
  ...columns(records, 'id', 'name', 'queue', 'payload', 'maxAttempts', 'delayMs', 'runAt'),
  graceMs,
  ...columns(records, 'priority', 'batch', 'next', 'previous', 'traceparent', 'version'),
  ...columns(records, 'options', 'tags', 'rerunOf'),
];

/**
 * A record whose id is taken changes nothing.
 *
 * @param graceMs how long the relay leaves the records to the producer that is publishing them anyway.
 * @returns one row, with the time at which all of them are accepted.
 */
export const insert = (records: readonly NewRecord[], graceMs: number): Statement => ({
  name: 'insert',
  text: `with inserted as (${insertText()}) select ${NOW}`,
  values: insertValues(records, graceMs),
});

/** Whether a row of `job_keys` is free. A job that is not visible yet is of a concurrent statement, and has not ended. */
export const IS_FREE = `held.expires_at <= now() and (not held.until_ended or job_has_ended(held.job))
      and (not held.until_started or job_has_started(held.job))`;

/** Inserts each record whose key is free, and takes the key for it; keys must differ from each other. */
export const insertKeyed = (records: readonly KeyedRecord[], graceMs: number): Statement => ({
  name: 'insert-keyed',
  text: `
    with k as (
      insert into job_keys as held (scope, key, fingerprint, job, expires_at, until_ended, until_started)
      select n.scope, n.key, n.fingerprint, n.job, now() + n.held_ms * interval '1 millisecond', n.until_ended,
        n.debounce is not null
      from unnest($18::text[], $19::text[], $20::text[], $1::uuid[], $21::float8[], $22::bool[], $23::jsonb[])
        as n (scope, key, fingerprint, job, held_ms, until_ended, debounce)
      -- Two statements that take the same keys must not wait for each other.
      order by n.scope, n.key
      on conflict (scope, key) do update
      set fingerprint = excluded.fingerprint, job = excluded.job,
          expires_at = excluded.expires_at, until_ended = excluded.until_ended, until_started = excluded.until_started
      where ${IS_FREE}
      returning job, case when until_ended then key end as unique_key
    )
    ${insertText('join k on k.job = m.id')}
    returning id, ${NOW}`,
  values: [
    ...insertValues(records, graceMs),
    ...columns(
      records.map(({ key }) => key),
      'scope',
      'key',
      'fingerprint',
      'heldMs',
      'untilEnded',
      'debounce',
    ),
  ],
});

/** Gives debounced jobs that wait for their time the payload and all else of these records, and moves their time. */
export const replaceWaiting = (records: readonly KeyedRecord[]): Statement => ({
  name: 'replace-waiting',
  text: `
    with n as (
      select j.id as job, j.created_at, n.*
      from unnest($1::text[], $2::text[], $3::jsonb[], $4::json[], $5::int[], $6::int[], $7::text[], $8::text[],
                  $9::json[], $10::text[], $11::jsonb[], $12::jsonb[])
        as n (scope, key, debounce, payload, max_attempts, version, queue, priority, next, traceparent, options, tags)
      join job_keys k on k.scope = n.scope and k.key = n.key
      join jobs j on j.id = k.job and j.state = 'scheduled' and j.claim = 0
      order by j.id for update of j
    ), timed as (
      select n.*, greatest(now(), least(
        now() + (debounce ->> 'delayMs')::float8 * interval '1 millisecond',
        created_at + (debounce ->> 'maxMs')::float8 * interval '1 millisecond')) as run_at
      from n
    )
    update jobs j
    set payload = n.payload, max_attempts = n.max_attempts, version = coalesce(n.version, 1), queue = n.queue,
        priority = coalesce(n.priority, 'normal'), next = n.next, traceparent = n.traceparent,
        options = ${withStartBy('n.options', 'n.run_at')},
        tags = n.tags, run_at = n.run_at, publish_at = n.run_at
    from timed n where j.id = n.job
    returning n.scope, n.key, null as fingerprint, j.id as job, j.state`,
  values: [
    ...columns(
      records.map(({ key }) => key),
      'scope',
      'key',
      'debounce',
    ),
    ...columns(records, 'payload', 'maxAttempts', 'version', 'queue', 'priority', 'next', 'traceparent'),
    ...columns(records, 'options', 'tags'),
  ],
});

/** Which jobs hold these keys. */
export const keyHolders = (keys: readonly JobKey[]): Statement => ({
  name: 'key-holders',
  text: `
    select k.scope, k.key, k.fingerprint, k.job, j.state from job_keys k join jobs j on j.id = k.job
    join unnest($1::text[], $2::text[]) as w (scope, key) on w.scope = k.scope and w.key = k.key`,
  values: columns(keys, 'scope', 'key'),
});

/** A job's state. No index has this expression: with the bare column the planner may read all waiting jobs for each id. */
export const STATE = `(j.state || '')`;

/** Settles plain successes; {@link settle} does the others. The row count shows whether all of them were written. */
export const succeed = (settlements: readonly Settlement[]): Statement => ({
  name: 'succeed',
  text: `
    update jobs j
    set state = 'succeeded', result = s.result, publish_at = null, finished_at = now(), error_form = '', progress = 1
    from ${unnestUnseen('$1::uuid[]', '$2::int[]', '$3::json[]')} as s (id, claim, result)
    where j.id = s.id and j.claim = s.claim and ${STATE} = 'running' and j.cancel_requested_at is null and j.next is null`,
  values: columns(settlements, 'id', 'claim', 'result'),
});

const IS_PLAIN_SUCCESS = `s.state = 'succeeded' and j.cancel_requested_at is null`;
/** A job that is held again waits no longer than from its first hold. */
const HELD_UNTIL = `case when s.hold_ms is not null
            then coalesce(j.held_until, now() + s.hold_ms * interval '1 millisecond') end`;

/**
 * Writes nothing for a claim that is not the newest one any more. A job that was to be cancelled meanwhile ends as
 * cancelled, whatever its handler made of it. The job that follows on success, or on death, is inserted by the same
 * statement, so it exists if and only if this one ended so.
 *
 * @returns those that it has written, and those that were written before by the same claim.
 */
export const settle = (settlements: readonly Settlement[], worker: string): Statement => ({
  name: 'settle',
  text: `
    with settled as (
      update jobs j
      set state = case when j.cancel_requested_at is null then s.state else 'cancelled' end,
          crashes = j.crashes + (s.released is true and s.error is not null)::int,
          attempt = j.attempt - (s.released is true and j.cancel_requested_at is null)::int,
          result = case when j.cancel_requested_at is null then s.result end,
          run_at = coalesce(now() + s.run_in * interval '1 millisecond', j.run_at),
          held_until = ${HELD_UNTIL}, held_for = s.hold_for,
          started_at = case when s.hold_ms is null then j.started_at end,
          options = case when s.has_started then j.options - 'startBy' else j.options end,
          publish_at = case when j.cancel_requested_at is null
            then coalesce(${HELD_UNTIL}, now() + s.publish_in * interval '1 millisecond') end,
          finished_at = case
            when j.cancel_requested_at is not null or s.state in ('succeeded', 'dead', 'cancelled') then now() end,
          limited_by = s.limited_by,
          max_attempts = case when s.state = 'retrying' then coalesce(s.max_attempts, j.max_attempts) else j.max_attempts end,
          error_form = case when s.state = 'dead' and j.cancel_requested_at is null
            then ${formOf(`coalesce(${saidInSql('s.error')}, '')`)} else '' end,
          progress = case when s.state = 'succeeded' and j.cancel_requested_at is null then 1 else j.progress end,
          attempts = case
            when ${IS_PLAIN_SUCCESS} and s.used is null then j.attempts
            when s.error is null and s.state <> 'succeeded' and j.cancel_requested_at is null then j.attempts
            else j.attempts || (jsonb_build_object(
              'attempt', j.attempt, 'claim', j.claim, 'worker', $8::text, 'startedAt', j.started_at, 'finishedAt', now(),
              'outcome', case when j.cancel_requested_at is not null then 'cancelled'
                when s.released then 'crashed' when s.state = 'succeeded' then 'succeeded' else 'failed' end,
              'error', case when not (${IS_PLAIN_SUCCESS}) then coalesce(s.error, jsonb_build_object('class', 'CancelledError', 'stack', null, 'message',
                'The handler took no notice of the cancellation and ended by itself')) end)
              || case when s.used is null then '{}' else jsonb_build_object('used', s.used) end) end
      from unnest($1::uuid[], $2::int[], $3::text[], $4::json[], $5::jsonb[], $6::bool[], $7::float8[], $9::float8[],
                  $10::text[], $11::int[], $12::int[], $13::jsonb[], $14::float8[], $15::bool[], $16::jsonb[],
                  $17::json[])
        as s (id, claim, state, result, error, released, run_in, publish_in, limited_by, result_version, max_attempts,
              hold_for, hold_ms, has_started, used, on_dead)
      where j.id = s.id and j.claim = s.claim and ${STATE} = 'running'
      returning j.id, j.claim, j.state, j.name, s.result_version, case when j.next is not null then j.result end as result,
        case j.state when 'succeeded' then j.next when 'dead' then s.on_dead end as next
    ), followed as (${insertFollowing('settled')}
    )
    select id, claim, state from settled
    union all
    select j.id, j.claim, j.state from unnest($1::uuid[], $2::int[], $3::text[]) as s (id, claim, state)
    join jobs j on j.id = s.id and j.claim = s.claim and ${STATE} in (s.state, 'cancelled')
      -- a rescue ended this claim, and was no settlement of it
      and not coalesce(
        j.attempts -> -1 @> jsonb_build_object('claim', s.claim, 'outcome', 'crashed', 'error', null), false)`,
  values: [
    ...columns(settlements, 'id', 'claim', 'state', 'result', 'error', 'released', 'runInMs'),
    worker,
    ...columns(settlements, 'publishInMs', 'limitedBy', 'resultVersion', 'maxAttempts', 'holdFor', 'holdMs'),
    ...columns(settlements, 'hasStarted', 'used', 'onDead'),
  ],
});

/** Makes so many held jobs due that a living worker knows which serves their queue. */
export const makeHeldDue = (limit: number): Statement => ({
  name: 'make-held-due',
  text: `
    with known as (
      select distinct k.name, w.queues, w.contracts
      from workers w cross join lateral jsonb_object_keys(w.contracts) as k (name)
      where w.id = any (array(${LOCKED_WORKERS}))
    ), found as (
      -- By the names that are known: of the others there may be a hundred thousand.
      select distinct j.id, j.claim from known k cross join lateral (
        select id, claim from jobs
        where name = k.name and state = 'queued' and held_until is not null and publish_at = held_until
          and queue = any (k.queues) and not exists (
            select from jsonb_each_text(held_for) as needed (name, version)
            where coalesce((k.contracts ->> needed.name)::int, 0) < needed.version::int)
        offset 0
      ) j
      order by j.claim limit $1
    )
    update jobs j set publish_at = now() from found where j.id = found.id and j.publish_at = j.held_until`,
  values: [limit],
});
