import { columns, isOpen, type Statement, SUCCEEDED_JOBS } from '#records';
import type { TickDecision } from './decide-ticks.js';
import type { Spec } from './schedule.js';

/** What is asked and written of schedules. The clock is the database's: those of workers may be wrong. */

/** A schedule as a worker declares it, with the tick to begin with if it is new or its timing has changed. */
export interface Declaration {
  name: string;
  spec: Spec;
  nextAt: Date;
}

/** A worker's rows are rewritten by others once it has not confirmed them for this long. */
const UNCONFIRMED_MS = 30_000;

export const clock: Statement = { text: 'select now()' };

/** Writes or confirms what the code says. Only at its start does a worker overwrite what another one confirms. */
export const declare = (schedules: readonly Declaration[], isStart: boolean): Statement => ({
  text: `
    insert into schedules as s (name, spec, next_at)
    select d.name, d.spec, d.next_at
    from unnest($1::text[], $2::jsonb[], $3::timestamptz[]) as d (name, spec, next_at) order by d.name
    on conflict (name) do update
    set spec = excluded.spec, disabled = false, at_run_time = false, confirmed_at = now(),
        next_at = case
          when not s.disabled and s.spec -> 'cron' = excluded.spec -> 'cron'
            and s.spec -> 'timeZone' = excluded.spec -> 'timeZone' then s.next_at
          else excluded.next_at end
    where $4 or not s.disabled and s.spec = excluded.spec
      or s.confirmed_at < now() - $5 * interval '1 millisecond'`,
  values: [...columns(schedules, 'name', 'spec', 'nextAt'), isStart, UNCONFIRMED_MS],
});

/** The same for what the code does not declare. Answers with the names, and whether each was disabled before. */
export const disableOthers = (names: readonly string[], isStart: boolean): Statement => ({
  text: `
    update schedules s set disabled = true, confirmed_at = now()
    where name <> all ($1) and not at_run_time and ($2 or disabled or confirmed_at < now() - $3 * interval '1 millisecond')
    returning name, (select b.disabled from schedules b where b.name = s.name) as "before"`,
  values: [names, isStart, UNCONFIRMED_MS],
});

/** Those that are fired by one look; the next one comes at once if there may be more. */
export const DUE_AT_ONCE = 200;

/** The schedules that are due, but for those that are passed over: those that the code knows as they are written, and those made at run time for jobs that it knows. */
export const due = (
  schedules: readonly Omit<Declaration, 'nextAt'>[],
  jobs: readonly string[],
  passedOver: readonly string[],
): Statement => ({
  name: 'due-schedules',
  text: `
    select s.name, s.spec, s.next_at from schedules s
    join unnest($1::text[], $2::jsonb[]) as m (name, spec) on m.name = s.name and m.spec = s.spec
    where s.next_at <= now() and not s.paused and not s.disabled and not s.at_run_time
      and s.name <> all ($4)
    union all (
      select name, spec, next_at from schedules
      where at_run_time and not paused and next_at <= now() and spec ->> 'job' = any ($3) and name <> all ($4)
      order by next_at limit ${DUE_AT_ONCE})
    order by next_at`,
  values: [...columns(schedules, 'name', 'spec'), jobs, passedOver],
});

/** Locks a schedule that is still due; one that another worker holds is passed over. */
export const take = (name: string, spec: Spec): Statement => ({
  name: 'take-schedule',
  text: `
    select s.next_at as "planned", now() as now, ${isOpen('s.last_job')} as busy
    from schedules s
    where s.name = $1 and s.spec = $2::jsonb and s.next_at <= now() and not s.paused and (s.at_run_time or not s.disabled)
    for update of s skip locked`,
  values: [name, JSON.stringify(spec)],
});

/** Notes what becomes of ticks, and answers with those that nobody had decided on before. */
export const insertTicks = (schedule: string, decisions: readonly TickDecision[]): Statement => ({
  name: 'insert-ticks',
  text: `
    insert into schedule_ticks (schedule, tick, outcome)
    select $1, d.tick, d.outcome from unnest($2::timestamptz[], $3::text[]) as d (tick, outcome)
    on conflict do nothing
    returning tick`,
  values: [schedule, ...columns(decisions, 'tick', 'outcome')],
});

export const linkTick = (schedule: string, tick: Date, job: string): Statement => ({
  name: 'link-tick',
  text: 'update schedule_ticks set job = $3 where schedule = $1 and tick = $2',
  values: [schedule, tick, job],
});

export const advance = (name: string, nextAt: Date, lastJob: string | undefined): Statement => ({
  name: 'advance-schedule',
  text: 'update schedules set next_at = $2, last_job = coalesce($3, last_job) where name = $1',
  values: [name, nextAt, lastJob],
});

/** Everything that clients see, of one schedule or of those after another one. */
export const view = (
  name: string | null,
  { after, limit = 1, isOfCode }: { after?: string; limit?: number; isOfCode?: boolean } = {},
): Statement => ({
  text: `
    select s.name, s.spec, s.paused, s.at_run_time as "atRunTime", s.disabled and not s.at_run_time as disabled, s.next_at as "nextAt", s.last_job as "lastJob",
           t.tick, t.outcome, t.job
    from schedules s
    left join lateral (
      select tick, outcome, job from schedule_ticks where schedule = s.name order by tick desc limit 1) t on true
    where ($1::text is null or s.name = $1) and ($2::text is null or s.name > $2)
      and ($4::boolean is null or s.at_run_time <> $4)
    order by s.name limit $3`,
  values: [name, after ?? null, limit, isOfCode ?? null],
});

/** When a job of each schedule last succeeded: the newest that did among those of its ticks, or one started by hand. */
export const lastSuccesses: Statement = {
  name: 'last-successes',
  text: `
    select s.name, max(j.at) as at from schedules s
    join ${SUCCEEDED_JOBS} j on j.id in (s.last_job, (
      select t.job from schedule_ticks t join ${SUCCEEDED_JOBS} d on d.id = t.job
      where t.schedule = s.name
      order by t.tick desc limit 1))
    where not s.at_run_time
    group by s.name`,
};

export const lock = (name: string): Statement => ({
  text: 'select spec, paused, disabled and not at_run_time as disabled, now() as now from schedules where name = $1 for update',
  values: [name],
});

export const pause = (name: string): Statement => ({
  text: 'update schedules set paused = true where name = $1 and not paused',
  values: [name],
});

export const resume = (name: string, nextAt: Date): Statement => ({
  text: 'update schedules set paused = false, next_at = $2 where name = $1',
  values: [name, nextAt],
});

export const noteJob = (name: string, job: string): Statement => ({
  text: 'update schedules set last_job = $2 where name = $1',
  values: [name, job],
});

/** Makes or changes a schedule at run time, unless the code declares it. Only a new timing changes its next tick. */
export const put = (name: string, spec: Spec, nextAt: Date): Statement => ({
  text: `
    insert into schedules as s (name, spec, next_at, at_run_time) values ($1, $2, $3, true)
    on conflict (name) do update
    set spec = excluded.spec, at_run_time = true, disabled = false,
        next_at = case
          when s.at_run_time and s.spec -> 'cron' = excluded.spec -> 'cron'
            and s.spec -> 'timeZone' = excluded.spec -> 'timeZone' then s.next_at
          else excluded.next_at end
    where s.at_run_time or s.disabled
    returning xmax = 0 as "isNew"`,
  values: [name, JSON.stringify(spec), nextAt],
});

/** Deletes one that was made at run time, or that the code does not declare any more. */
export const remove = (name: string): Statement => ({
  text: `
    with gone as (delete from schedules where name = $1 and (at_run_time or disabled) returning name)
    , ticks as (delete from schedule_ticks t using gone where t.schedule = gone.name)
    select name from gone`,
  values: [name],
});
