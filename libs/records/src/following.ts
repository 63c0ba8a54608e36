import { withStartBy } from './start-by.js';

/**
 * Inserts the jobs that follow others, which exist if and only if those ended so.
 *
 * @param ended a table with the columns `id`, `name`, `state`, `result` and `result_version`; `next` is null where nothing
 *   follows.
 */
export const insertFollowing = (ended: string) => `
      insert into jobs (id, name, queue, payload, max_attempts, version, priority, next, traceparent, options, tags, previous,
        state, run_at, publish_at)
      select n.id, n.name, n.queue, n.payload::json, n."maxAttempts", coalesce(n.version, 1), coalesce(n.priority, 'normal'),
             n.next, n.traceparent, ${withStartBy('n.options', 'n.run_at')}, n.tags,
             case when s.state = 'succeeded' then
               json_build_object('id', s.id, 'name', s.name, 'result', s.result, 'version', s.result_version) end,
             case when n.run_at > now() then 'scheduled' else 'queued' end, n.run_at, n.run_at
      from ${ended} s
      cross join lateral (
        select *, greatest(now(), coalesce("runAt", now() + "delayMs" * interval '1 millisecond')) as run_at
        from json_to_record(s.next) as r (
          id uuid, name text, queue text, payload text, "maxAttempts" int, version int, priority text, "delayMs" float8,
          "runAt" timestamptz, next json, traceparent text, options jsonb, tags jsonb)
      ) n
      where s.next is not null
      on conflict (id) do nothing`;
