import { columns } from './columns.js';
import type { ClaimRequest, Postponement } from './job-record.js';
import type { Statement } from './records-database.js';
import { epochMs, IS_LATE } from './start-by.js';
import { lockOf, STATE, unnestUnseen } from './statements.js';

/** How a worker takes delivered jobs, or puts them off. `m` is a message, `j` the job of its id, `$4` the worker. */

/** A job that crashed this often may be what ended its workers: from then on it runs exclusively. */
const EXCLUSIVE_AFTER_CRASHES = 2;

/** The message stands for an attempt that has not begun. A waiting job is never marked to be cancelled: it ends at once. */
const IS_WAITING = `j.name = m.name and ${STATE} in ('queued', 'retrying') and m.attempt > j.attempt`;
/** It stands for the running attempt of a dead worker, or of this one, if the answer to its first claim was lost. */
const IS_CRASHED = `j.name = m.name and ${STATE} = 'running' and m.attempt >= j.attempt
      and (j.worker = $4 and m.attempt = j.attempt or not exists (${lockOf('j.worker')}))`;
/** Whether the record is of an unprocessable message that had the id first. */
const IS_UNPROCESSABLE = `j.state = 'dead' and j.claim = 0
      and exists (select from unprocessable_messages u where u.job = j.id)`;
/** Taking a job over counts as a crash, unless it is the worker's own. */
const IS_CRASH = `(${STATE} = 'running' and j.worker <> $4)`;
export const CRASHED_ATTEMPT = `jsonb_build_object('attempt', j.attempt, 'claim', j.claim, 'outcome', 'crashed', 'error', null,
              'worker', (select w.name from workers w where w.id = j.worker),
              'startedAt', j.started_at, 'finishedAt', now())`;

const REQUESTS = `
      ${unnestUnseen('$1::uuid[]', '$2::int[]', '$3::text[]', '$5::bool[]', '$6::bool[]', '$7::int[]')}
        as m (id, attempt, name, wants_payload, exclusive, version)`;

/** A job is rescued when its previous claim crashed. This claim or the relay has found that out. */
const CLAIMED = `
      j.id, j.state = 'running' as taken, j.state, j.claim, j.attempt, j.max_attempts as "maxAttempts", j.crashes,
      j.previous, j.options, j.tags, case when j.next is not null then true end as "isFollowed", ${epochMs('j.created_at')} as "createdMs", date_part('epoch', now() - j.run_at) as waited,
      coalesce(
        j.attempts -> -1 ->> 'outcome' = 'crashed' and (j.attempts -> -1 ->> 'claim')::int = j.claim - 1, false) as rescued,
      j.version, case when j.held_until <= now() then true end as "isHeldOver", case when ${IS_LATE} then true end as "isLate",
      case when m.wants_payload or j.version <> coalesce(m.version, 1) or j.original_payload is not null
        then j.payload::text end as payload`;

const claimValues = (requests: readonly ClaimRequest[], worker: number): unknown[] => [
  ...columns(requests, 'id', 'attempt', 'name'),
  worker,
  ...columns(requests, 'wantsPayload', 'exclusive', 'version'),
];

/**
 * Takes waiting jobs. One that crashed twice is taken only by a worker that runs nothing else.
 *
 * @returns those that were taken; {@link refusals} says what is with the others.
 */
export const claim = (requests: readonly ClaimRequest[], worker: number): Statement => ({
  name: 'claim',
  text: `
    update jobs j
    set state = 'running', attempt = m.attempt, claim = j.claim + 1, worker = $4, started_at = now(),
        publish_at = null, progress = null, progress_note = null, limited_by = null
    from ${REQUESTS}
    where j.id = m.id and ${IS_WAITING} and (m.exclusive or j.crashes < ${EXCLUSIVE_AFTER_CRASHES})
    returning ${CLAIMED}`,
  values: claimValues(requests, worker),
});

/** Why jobs were not claimed: whether each waits or has crashed by now, and whether it must run exclusively. */
export const refusals = (requests: readonly ClaimRequest[], worker: number): Statement => ({
  name: 'refusals',
  text: `
    select m.id, m.attempt, false as taken, j.state, j.crashes + ${IS_CRASH}::int as crashes,
      j.name <> m.name or ${IS_UNPROCESSABLE} as "isAnotherJob", ${IS_LATE} as "isLate",
      coalesce(${IS_WAITING}, false) as "isWaiting", coalesce(${IS_CRASHED}, false) as "isCrashed",
      not coalesce(m.exclusive, false) and j.crashes + ${IS_CRASH}::int >= ${EXCLUSIVE_AFTER_CRASHES} as "mustBeExclusive"
    from unnest($1::uuid[], $2::int[], $3::text[], $5::bool[]) as m (id, attempt, name, exclusive)
    left join jobs j on j.id = m.id`,
  values: [...columns(requests, 'id', 'attempt', 'name'), worker, ...columns(requests, 'exclusive')],
});

/** Takes over crashed jobs of dead workers, each crash kept as an attempt. A job that is marked to be cancelled ends here. */
export const takeOver = (requests: readonly ClaimRequest[], worker: number): Statement => ({
  name: 'take-over',
  text: `
    update jobs j
    set state = case when j.cancel_requested_at is null then 'running' else 'cancelled' end,
        finished_at = case when j.cancel_requested_at is not null then now() end,
        attempt = m.attempt, claim = j.claim + 1, worker = $4, started_at = now(),
        publish_at = null, progress = null, progress_note = null, limited_by = null, held_until = null,
        crashes = j.crashes + ${IS_CRASH}::int, options = case when ${IS_CRASH} then j.options - 'startBy' else j.options end,
        attempts = case when ${IS_CRASH} then j.attempts || ${CRASHED_ATTEMPT} else j.attempts end
    from ${REQUESTS}
    where j.id = m.id and ${IS_CRASHED} and (m.exclusive or j.crashes + ${IS_CRASH}::int < ${EXCLUSIVE_AFTER_CRASHES})
    returning ${CLAIMED}`,
  values: claimValues(requests, worker),
});

/**
 * Puts jobs off whose message could be claimed. The new claim number prevents the publisher of that message from marking it
 * as published, which would take the job out of the outbox. A running job of a dead worker stays as it is, and is due later.
 *
 * @returns the ids of those that have no record.
 */
export const postpone = (postponements: readonly Postponement[]): Statement => ({
  name: 'postpone',
  text: `
    with m as (
      select id, attempt, name, now() + delay_ms * interval '1 millisecond' as run_at, limited_by
      from unnest($1::uuid[], $2::int[], $3::float8[], $4::text[], $5::text[])
        as m (id, attempt, delay_ms, name, limited_by)
    ), postponed as (
      update jobs j
      set state = case when j.state = 'queued' then 'scheduled' else j.state end,
          claim = j.claim + 1, run_at = m.run_at, publish_at = m.run_at, limited_by = m.limited_by
      from m
      where j.id = m.id and j.name = m.name and (
        ${STATE} in ('queued', 'retrying') and m.attempt > j.attempt
        or ${STATE} = 'running' and m.attempt >= j.attempt and not exists (${lockOf('j.worker')}))
    )
    select m.id from m where not exists (select from jobs j where j.id = m.id)`,
  values: columns(postponements, 'id', 'attempt', 'delayMs', 'name', 'limitedBy'),
});
