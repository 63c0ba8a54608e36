import { plain } from './array-text.js';
import { CRASHED_ATTEMPT } from './claim-statements.js';
import { saidInSql } from './error-form.js';
import { comesAfter, lockOf, STATE, type Statement } from './statements.js';

/** The statements of the outbox: `publish_at` says when the relay must publish a job unless somebody has done so before. */

/** Whether a job's message is not known to the broker yet. No index has this expression, for the reason given at `STATE`. */
const IS_PENDING = `coalesce(j.publish_at, 'infinity') <> 'infinity'`;

/** A job that was claimed since has another claim number, and is left alone. */
export const markPublished = (published: readonly { id: string; claim: number }[]): Statement => ({
  name: 'mark-published',
  text: `
    update jobs j set publish_at = null
    from unnest($1::uuid[], $2::int[]) as p (id, claim)
    where j.id = p.id and j.claim = p.claim and ${IS_PENDING}`,
  values: [plain(published.map(({ id }) => id)), plain(published.map(({ claim }) => claim))],
});

/** Moves the due time on, so that no lock is held while the relay publishes. */
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
      returning j.id, j.name, j.queue, j.priority, j.traceparent, j.state, j.attempt, j.claim,
        ${saidInSql(`j.attempts -> -1 -> 'error'`)} as error,
        case when octet_length(j.payload::text) <= $3 then j.payload::text end as payload, due.publish_at
    )
    select t.id, t.name, t.queue, t.priority, t.traceparent, t.state, t.attempt, t.claim, t.error, t.payload,
      m.routing_key as "routingKey", m.properties::text, m.headers::text,
      case when octet_length(m.body) <= $3 then m.body end as body
    from taken t left join unprocessable_messages m on m.job = t.id
    order by t.publish_at, t.id`,
  values: [limit, leaseMs, payloadLimit],
});

/** Makes jobs that a relay could not publish due after a pause, unless they have moved on. */
export const postponePublish = (
  jobs: readonly { id: string; claim: number }[],
  pauseMs: number,
): Statement => ({
  name: 'postpone-publish',
  text: `
    update jobs j set publish_at = now() + $3 * interval '1 millisecond'
    from unnest($1::uuid[], $2::int[]) as o (id, claim)
    where j.id = o.id and j.claim = o.claim and ${IS_PENDING} and ${STATE} in ('queued', 'retrying', 'dead')`,
  values: [jobs.map(({ id }) => id), jobs.map(({ claim }) => claim), pauseMs],
});

/** Publishes unrouted jobs again, under a new claim, so that the confirm of the first message changes nothing. */
export const republishUnrouted = (ids: readonly string[], pauseMs: number): Statement => ({
  name: 'republish-unrouted',
  text: `
    update jobs set publish_at = now() + $2 * interval '1 millisecond', claim = claim + 1
    where id = any ($1::uuid[]) and state in ('queued', 'retrying')`,
  values: [ids, pauseMs],
});

/** Workers whose session lock is gone while the records say that they run something. */
export const goneWorkers = (): Statement => ({
  name: 'gone-workers',
  text: `
    select r.worker from (select distinct worker from jobs where state = 'running') r
    where not exists (${lockOf('r.worker')})`,
  values: [],
});

/** Which of these workers have no session lock. */
export const missingOf = (workers: readonly number[]): Statement => ({
  name: 'missing-of',
  text: `select w.worker from unnest($1::int[]) as w (worker) where not exists (${lockOf('w.worker')})`,
  values: [workers],
});

/** Makes the running jobs of dead workers wait for the same attempt again. */
export const rescue = (workers: readonly number[]): Statement => ({
  name: 'rescue',
  text: `
    update jobs j
    set state = case when j.cancel_requested_at is null then 'queued' else 'cancelled' end,
        finished_at = case when j.cancel_requested_at is not null then now() end,
        publish_at = case when j.cancel_requested_at is null then now() end,
        attempt = j.attempt - 1, crashes = j.crashes + 1, attempts = j.attempts || ${CRASHED_ATTEMPT}
    where j.state = 'running' and j.worker = any ($1::int[]) and not exists (${lockOf('j.worker')})
    returning j.id`,
  values: [workers],
});

/** One page of the waiting jobs of a state, oldest first, made due again. */
export const republish = (state: 'queued' | 'retrying', after: string | null, limit: number): Statement => ({
  name: 'republish',
  text: `
    with page as (
      select id from jobs where state = $3 and state <> 'succeeded' and ${comesAfter('$1')} order by id limit $2
    ), pending as (
      update jobs j
      set publish_at = least(j.publish_at, case when j.state = 'retrying' then greatest(j.run_at, now()) else now() end)
      from page
      where j.id = page.id and j.state = $3
      returning j.id
    )
    select (select id from page order by id desc limit 1) as last, (select count(*)::int from pending) as pending`,
  values: [after, limit, state],
});

/** How many jobs, up to an id, the relays have still to publish. */
export const pendingUpTo = (id: string): Statement => ({
  name: 'pending-up-to',
  text: `
    select count(*)::int as pending from jobs
    where publish_at is not null and state = 'queued' and id <= $1::uuid`,
  values: [id],
});
