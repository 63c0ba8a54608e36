import { columns, lockOf, makeDue, PUT_OFF_JOBS } from '#records';
import type { Slot } from './concurrency-limiter.js';

/** Whatever changes rows of `concurrency_limits` locks them by name and key first: so there is no deadlock. */

/** Slots of one limit that waiting jobs may have. */
export interface FreeSlots {
  name: string;
  key: string;
  free: number;
}

export interface Waiter {
  job: string;
  name: string;
  key: string;
}

/** Says of each slot whether it was free, and of those whose limit has no row yet, nothing. */
export const take = (slots: readonly Slot[]) => ({
  name: 'take-slots',
  text: `
    with wanted as (
      select * from unnest($1::text[], $2::text[], $3::int[], $4::bigint[])
        with ordinality as w (name, key, max_running, holder, position)
    ), held as materialized (
      select l.name, l.key, l.holders from concurrency_limits l
      where (l.name, l.key) in (select w.name, w.key from wanted w)
      order by l.name, l.key for update
    ), answered as materialized (
      select w.*, cardinality(h.holders)
        + row_number() over (partition by w.name, w.key order by w.position) <= w.max_running as granted
      from wanted w join held h on h.name = w.name and h.key = w.key
    ), taken as (
      update concurrency_limits l
      set holders = l.holders || coalesce(g.holders, '{}'), max_running = g.max_running
      from (
        select name, key, max(max_running) as max_running, array_agg(holder) filter (where granted) as holders
        from answered group by name, key
      ) g
      where l.name = g.name and l.key = g.key and (g.holders is not null or l.max_running <> g.max_running)
    )
    select holder::text, granted from answered`,
  values: columns(slots, 'name', 'key', 'max', 'holder'),
});

/** Makes the rows that are missing. */
export const make = (slots: readonly Slot[]) => ({
  name: 'make-slots',
  text: `
    insert into concurrency_limits (name, key, max_running)
    select distinct on (n.name, n.key) n.name, n.key, n.max_running
    from unnest($1::text[], $2::text[], $3::int[]) as n (name, key, max_running)
    order by n.name, n.key
    on conflict do nothing`,
  values: columns(slots, 'name', 'key', 'max'),
});

export const release = (slots: readonly Slot[]) => ({
  name: 'release-slots',
  text: `
    with gone as (
      select * from unnest($1::text[], $2::text[], $3::bigint[]) as g (name, key, holder)
    ), held as materialized (
      select l.name, l.key from concurrency_limits l
      where (l.name, l.key) in (select g.name, g.key from gone g)
      order by l.name, l.key for update
    )
    update concurrency_limits l
    set holders = array(select h from unnest(l.holders) h where h <> all ($3::bigint[]))
    from held
    where l.name = held.name and l.key = held.key`,
  values: columns(slots, 'name', 'key', 'holder'),
});

/** The workers that hold slots, and have no session lock at this moment. */
export const missingHolders = {
  name: 'missing-holders',
  text: `
    select w.worker from (select distinct (h >> 32)::int as worker from concurrency_limits, unnest(holders) h) w
    where not exists (${lockOf('w.worker')})`,
};

/** Takes their slots from workers. */
export const drop = (workers: readonly number[]) => ({
  name: 'drop-holders',
  text: `
    with held as materialized (
      select l.name, l.key from concurrency_limits l
      where exists (select from unnest(l.holders) h where (h >> 32)::int = any ($1::int[]))
      order by l.name, l.key for update
    )
    update concurrency_limits l
    set holders = array(select h from unnest(l.holders) h where (h >> 32)::int <> all ($1::int[]))
    from held
    where l.name = held.name and l.key = held.key`,
  values: [workers],
});

/** Lists jobs as waiting, each with the time to which it was put off just now. */
export const wait = (waiters: readonly Waiter[]) => ({
  name: 'wait-for-slots',
  text: `
    insert into concurrency_waiters (job, name, key, run_at)
    select distinct on (j.id) j.id, w.name, w.key, j.until
    from unnest($1::uuid[], $2::text[], $3::text[]) as w (job, name, key) join ${PUT_OFF_JOBS} j on j.id = w.job
    order by j.id
    on conflict (job) do update set name = excluded.name, key = excluded.key, run_at = excluded.run_at`,
  values: columns(waiters, 'job', 'name', 'key'),
});

/** Of these limits, those with free slots. A row that was pruned had all slots free. */
export const freeOf = (limits: readonly { name: string; key: string }[]) => ({
  name: 'free-slots-of',
  text: `
    select distinct w.name, w.key, coalesce(l.max_running - cardinality(l.holders), 1) as free
    from unnest($1::text[], $2::text[]) as w (name, key)
    left join concurrency_limits l on l.name = w.name and l.key = w.key
    where l.name is null or cardinality(l.holders) < l.max_running`,
  values: columns(limits, 'name', 'key'),
});

/** The limits that jobs wait for. */
export const awaited = {
  name: 'awaited-limits',
  text: 'select distinct name, key from concurrency_waiters',
};

/** Makes the longest waiting jobs due. One that has ended, or was put off to another time since, does not wait any more. */
export const wake = (free: readonly FreeSlots[]) => ({
  name: 'wake-waiters',
  text: `
    with chosen as materialized (
      select c.job
      from unnest($1::text[], $2::text[], $3::int[]) as f (name, key, free)
      cross join lateral (
        select w.job from concurrency_waiters w
        join ${PUT_OFF_JOBS} j on j.id = w.job and j.until = w.run_at
        where w.name = f.name and w.key = f.key
        order by w.run_at limit f.free for update of w skip locked
      ) c
    ), forgotten as (
      delete from concurrency_waiters w using chosen c where w.job = c.job
    )
    ${makeDue('chosen')}`,
  values: columns(free, 'name', 'key', 'free'),
});

/** Forgets limits that nobody holds or waits for, and jobs that do not wait any more. */
export const prune = {
  name: 'prune-slots',
  text: `
    with done as (
      delete from concurrency_waiters w
      where not exists (select from ${PUT_OFF_JOBS} j where j.id = w.job and j.until = w.run_at)
    ), idle as (
      select name, key from concurrency_limits l
      where holders = '{}'
        and not exists (select from concurrency_waiters w where w.name = l.name and w.key = l.key)
      order by name, key for update skip locked
    )
    delete from concurrency_limits l using idle where l.name = idle.name and l.key = idle.key and l.holders = '{}'`,
};
