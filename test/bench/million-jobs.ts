import type { Environment } from '#testing/services';

/** How many jobs there are, by what has become of them. The others have succeeded. */
export interface Jobs {
  all: number;
  dead: number;
  waiting: number;
}

/** A batch of ten thousand, a job that died after five attempts, and what a few of the dead have in their errors. */
export interface Landmarks {
  batch: string;
  dead: string;
  /** A part of the errors of two fifths of the dead; of one in some thousand; and a number that one of them has. */
  common: string;
  rare: string;
  number: string;
}

/** Letters that differ from number to number. */
const word = (number: string, length: number) =>
  `translate(left(md5((${number})::text), ${length}), '0123456789', 'ghijklmnop')`;

/** One of the five attempts of each dead job, with an error as handlers throw them. */
const ATTEMPT = `
  jsonb_build_object('attempt', a, 'claim', a, 'outcome', 'failed', 'worker', 'host-a:1', 'startedAt', at, 'finishedAt', at,
    'error', jsonb_build_object('class', 'Error', 'message', message,
      'stack', message || repeat(E'\\n    at Handler.handle (file:///app/dist/apps/worker/src/handlers/some.handler.js:' || i % 300 || ':11)', 10)))`;

/**
 * Fills a database as months of work would: jobs of five contracts, made one after the other, whose states lie mixed
 * over the whole table. Two fifths of the dead died of one thing, two fifths of two hundred, and the rest of twenty
 * thousand; each has numbers and ids of its own in its error.
 */
export async function givenJobs({ sql }: Environment, { all, dead, waiting }: Jobs): Promise<Landmarks> {
  await sql(
    `insert into jobs (id, name, queue, state, payload, result, attempt, max_attempts, claim, created_at, run_at,
       started_at, finished_at, batch, error_form, attempts)
     select id, name, queue, state, json_build_object('to', 'ada@example.com', 'subject', 'Hello', 'text', repeat('x', 150)),
       case when state = 'succeeded' then '{"messageId": "x"}'::json end, 1, 5, 1, at, at, at,
       case when state <> 'queued' then at + interval '2 s' end, batch,
       case when state = 'dead' then regexp_replace(message,
         '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\\d+', '#', 'gi') else '' end,
       case when state = 'dead' then (select jsonb_agg(${ATTEMPT}) from generate_series(1, 5) a) else '[]' end
     from (
       select i, at,
         (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || left(md5(i::text), 3) || '8'
           || right(md5(i::text), 15))::uuid as id,
         (array['sample.mail', 'sample.call', 'sample.picture', 'sample.report', 'sample.flaky'])[1 + i % 5] as name,
         (array['sample-mail', 'sample-call', 'sample-picture', 'sample-report', 'sample-flaky'])[1 + i % 5] as queue,
         case when h < $2::float8 then 'dead' when i > $1::int - $3::int then 'queued' else 'succeeded' end as state,
         case when i % 200000 < 10000 then ('01900000-0000-7000-8000-' || lpad(to_hex(i / 200000), 12, '0'))::uuid end as batch,
         case when k < 0.4 then 'connect ECONNREFUSED 10.0.0.' || i % 250 || ':' || i % 9000
           when k < 0.8 then 'Receiver ' || ${word('i % 200', 10)} || ' answered ' || 400 + i % 100 || ' for order ' || i
           else 'Cannot read ' || ${word('i % 20000', 10)} || ' after ' || i || ' ms: ' || gen_random_uuid() end as message
       from (
         select i, now() - ($1::int - i) * interval '2.5 s' as at, abs(hashint4(i)) / 2147483648.0 as h,
           abs(hashint4(-i)) / 2147483648.0 as k
         from generate_series(1, $1::int) i
       ) numbers
     ) jobs`,
    [all, dead / all, waiting],
  );
  await sql(
    `insert into batches (id, name, total, created_at)
     select batch, 'nightly', count(*), min(created_at) from jobs where batch is not null group by batch`,
  );
  await sql(
    `insert into throughput (step_s, at, queue, outcome, count)
     select s, to_timestamp(floor(extract(epoch from now()) / s - n) * s), q, o, 100
     from unnest(array[60, 900]) s, generate_series(0, 672) n, (select distinct queue as q from jobs) q,
       unnest(array['succeeded', 'retrying', 'dead']) o`,
  );
  await sql(
    `insert into audit (actor, via, action, subject, count)
     select 'ada', 'dashboard', 'job.cancel', gen_random_uuid(), 1 from generate_series(1, 100000)`,
  );
  await sql(
    `insert into unprocessable_messages (job, digest, routing_key, properties, headers, body)
     select id, md5(id::text), name, '{}', '{}', repeat('no JSON ', 400)::bytea
     from jobs where state = 'dead' limit 5000`,
  );
  // As autovacuum leaves it.
  await sql('vacuum (analyze) jobs');
  await sql('vacuum (analyze) batches, throughput, audit, unprocessable_messages');
  const [landmarks] = await sql<{ batch: string; dead: string; number: string }>(
    `select (select batch from jobs where batch is not null limit 1) as batch, id as dead,
       substring(attempts -> -1 -> 'error' ->> 'message' from '\\d+$') as number
     from jobs where state = 'dead' and error_form like 'Receiver %' limit 1`,
  );
  const [{ rare = '' } = {}] = await sql<{ rare: string }>(`select ${word('17', 10)} as rare`);
  return { ...(landmarks as Omit<Landmarks, 'common' | 'rare'>), common: 'ECONNREFUSED', rare };
}
