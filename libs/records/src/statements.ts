import { WORKER_LOCK_CLASS } from './presence.js';
import type { ClaimRequest, NewRecord, Settlement } from './records.js';

/**
 * The statements of a job's life. Each takes any number of rows as one array for each column (`unnest`), is prepared
 * once for each connection, and reads the clock of the database only: clocks of workers may be wrong.
 */
interface Statement {
  name: string;
  text: string;
  values: unknown[];
}

/** Finds the session lock by which a worker shows that it is alive. */
const lockOf = (worker: string, lockClass: string) => `
  select from pg_locks l
  where l.locktype = 'advisory' and l.classid = ${lockClass} and l.objid = ${worker} and l.objsubid = 2 and l.granted
    and l.database = (select oid from pg_database where datname = current_database())`;

/** @param graceMs how long the relay leaves the records to the producer that is publishing them anyway. */
export const insert = (records: readonly NewRecord[], graceMs: number): Statement => ({
  name: 'insert',
  text: `
    insert into jobs (id, name, queue, payload, max_attempts, state, run_at, publish_at)
    select n.id, n.name, n.queue, n.payload, n.max_attempts,
           case when n.run_at > now() then 'scheduled' else 'queued' end,
           greatest(n.run_at, now()),
           case when n.run_at > now() then n.run_at else now() + $8 * interval '1 millisecond' end
    from (
      select m.id, m.name, m.queue, m.payload, m.max_attempts,
             coalesce(m.run_at, now() + m.delay_ms * interval '1 millisecond') as run_at
      from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::int[], $6::float8[], $7::timestamptz[])
        as m (id, name, queue, payload, max_attempts, delay_ms, run_at)
    ) n
    on conflict (id) do nothing
    returning id, state, created_at as "createdAt", run_at as "runAt"`,
  values: [
    records.map(({ id }) => id),
    records.map(({ name }) => name),
    records.map(({ queue }) => queue),
    records.map(({ payload }) => payload),
    records.map(({ maxAttempts }) => maxAttempts),
    records.map(({ delayMs }) => delayMs ?? 0),
    records.map(({ runAt }) => runAt ?? null),
    graceMs,
  ],
});

/**
 * A job may be taken when its message stands for a newer attempt than the record; or for the attempt that runs, if
 * the worker that runs it is gone: PostgreSQL let go of the lock that it held. Taking one's own again is for a claim
 * whose answer was lost on the way; a worker does not ask for what it knows that it runs.
 */
export const claim = (requests: readonly ClaimRequest[], worker: number): Statement => ({
  name: 'claim',
  text: `
    with m as (
      select * from unnest($1::uuid[], $2::int[], $3::bool[]) as m (id, attempt, wants_payload)
    ), taken as (
      update jobs j
      set state = 'running', attempt = m.attempt, claim = j.claim + 1, worker = $4, started_at = now(),
          publish_at = null, progress = null, progress_note = null,
          losses = j.losses + (j.state = 'running' and j.worker <> $4)::int,
          attempts = case when j.state = 'running' and j.worker <> $4
            then j.attempts || jsonb_build_object('attempt', j.attempt, 'outcome', 'lost', 'error', null,
              'worker', (select w.name from workers w where w.id = j.worker),
              'startedAt', j.started_at, 'finishedAt', now())
            else j.attempts end
      from m
      where j.id = m.id and (
        j.state in ('queued', 'retrying') and m.attempt > j.attempt
        or j.state = 'running' and m.attempt >= j.attempt and (j.worker = $4 or not exists (
          ${lockOf('j.worker', '$5')})))
      returning j.id, j.claim, j.attempt, j.max_attempts, j.losses, j.created_at
    )
    select m.id, t.id is not null as taken, case when t.id is null then j.state else 'running' end as state,
           t.claim, t.attempt, t.max_attempts as "maxAttempts", t.losses, t.created_at as "createdAt",
           case when m.wants_payload then j.payload::text end as payload
    from m
    left join taken t on t.id = m.id
    left join jobs j on j.id = m.id and (t.id is null or m.wants_payload)`,
  values: [
    requests.map(({ id }) => id),
    requests.map(({ attempt }) => attempt),
    requests.map(({ wantsPayload }) => wantsPayload),
    worker,
    WORKER_LOCK_CLASS,
  ],
});

/** Writes nothing for a claim that is not the newest one any more. */
export const settle = (settlements: readonly Settlement[], worker: string): Statement => ({
  name: 'settle',
  text: `
    update jobs j
    set state = s.state,
        attempt = j.attempt - s.given_back::int,
        result = s.result,
        run_at = coalesce(now() + s.run_in * interval '1 millisecond', j.run_at),
        publish_at = now() + s.publish_in * interval '1 millisecond',
        finished_at = case when s.state in ('succeeded', 'dead') then now() end,
        progress = case when s.state = 'succeeded' then 1 else j.progress end,
        attempts = case when s.error is null then j.attempts else j.attempts || jsonb_build_object(
          'attempt', j.attempt, 'outcome', 'failed', 'error', s.error, 'worker', $8::text,
          'startedAt', j.started_at, 'finishedAt', now()) end
    from unnest($1::uuid[], $2::int[], $3::text[], $4::json[], $5::jsonb[], $6::bool[], $7::float8[], $9::float8[])
      as s (id, claim, state, result, error, given_back, run_in, publish_in)
    where j.id = s.id and j.claim = s.claim and j.state = 'running'
    returning j.id, j.claim`,
  values: [
    settlements.map(({ id }) => id),
    settlements.map(({ claim }) => claim),
    settlements.map(({ state }) => state),
    settlements.map(({ result }) => result ?? null),
    settlements.map(({ error }) => error ?? null),
    settlements.map(({ givenBack }) => givenBack ?? false),
    settlements.map(({ runInMs }) => runInMs ?? null),
    worker,
    settlements.map(({ publishInMs }) => publishInMs ?? null),
  ],
});

export const progress = (
  updates: readonly { id: string; claim: number; progress: number; note: string | null }[],
): Statement => ({
  name: 'progress',
  text: `
    update jobs j set progress = u.progress, progress_note = u.note
    from unnest($1::uuid[], $2::int[], $3::real[], $4::text[]) as u (id, claim, progress, note)
    where j.id = u.id and j.claim = u.claim and j.state = 'running'`,
  values: [
    updates.map(({ id }) => id),
    updates.map(({ claim }) => claim),
    updates.map(({ progress }) => progress),
    updates.map(({ note }) => note),
  ],
});

/** A job that was claimed since has another claim number, and is left alone. */
export const markPublished = (published: readonly { id: string; claim: number }[]): Statement => ({
  name: 'mark-published',
  text: `
    update jobs j set publish_at = null
    from unnest($1::uuid[], $2::int[]) as p (id, claim)
    where j.id = p.id and j.claim = p.claim and j.publish_at is not null`,
  values: [published.map(({ id }) => id), published.map(({ claim }) => claim)],
});

/** No lock is held while the relay publishes: the due time itself moves on, and whoever finishes clears it. */
export const takeDue = (limit: number, leaseMs: number, payloadLimit: number): Statement => ({
  name: 'take-due',
  text: `
    with due as (
      select id, publish_at from jobs
      where publish_at <= now()
      order by publish_at
      limit $1
      for update skip locked
    ), taken as (
      update jobs j
      set publish_at = now() + $2 * interval '1 millisecond',
          state = case when j.state = 'scheduled' then 'queued' else j.state end
      from due
      where j.id = due.id
      returning j.id, j.name, j.queue, j.state, j.attempt, j.claim, j.attempts -> -1 -> 'error' ->> 'message' as error,
        case when octet_length(j.payload::text) <= $3 then j.payload::text end as payload, due.publish_at
    )
    select id, name, queue, state, attempt, claim, error, payload from taken order by publish_at, id`,
  values: [limit, leaseMs, payloadLimit],
});

/** Workers whose session lock is gone while the records say that they run something. */
export const goneWorkers = (): Statement => ({
  name: 'gone-workers',
  text: `
    select r.worker from (select distinct worker from jobs where state = 'running' and publish_at is null) r
    where not exists (${lockOf('r.worker', '$1')})`,
  values: [WORKER_LOCK_CLASS],
});

export const rescue = (workers: readonly number[]): Statement => ({
  name: 'rescue',
  text: `
    update jobs set publish_at = now()
    where state = 'running' and publish_at is null and worker = any ($1::int[])
    returning id`,
  values: [workers],
});

export const cancel = (id: string): Statement => ({
  name: 'cancel',
  text: `
    update jobs set state = 'cancelled', finished_at = now(), publish_at = null
    where id = $1 and state in ('scheduled', 'queued', 'retrying')
    returning id`,
  values: [id],
});
