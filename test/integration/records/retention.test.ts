import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { Contracts, defineJob } from '#jobs';
import type { Retention } from '#records';
import type { Environment } from '#testing/services';
import { ages, givenRetention } from '../../support/retention.js';

let environment: Environment;
let retention: Retention;
let prune: Awaited<ReturnType<typeof givenRetention>>['prune'];
let close = async () => {};

beforeAll(async () => {
  ({ environment, retention, prune, close } = await givenRetention());
});
afterAll(() => close());

/** Puts in jobs that ended in a state, so many days ago. */
const givenJobs = (state: string, daysAgo: number, count = 1) =>
  environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, run_at, finished_at)
     select gen_random_uuid(), 'a.b', $1 || ' ' || $2, $1, '{}', 1, now() - $2::int * interval '1 day',
            case when $1 not in ('queued', 'running') then now() - $2::int * interval '1 day' end
     from generate_series(1, $3)`,
    [state, String(daysAgo), count],
  );
const left = async () =>
  (await environment.sql<{ queue: string }>('select queue from jobs order by queue')).map(
    ({ queue }) => queue,
  );

test('jobs go by their state and age; dead ones, and those that have not ended, stay for ever', async () => {
  for (const state of ['succeeded', 'cancelled', 'discarded', 'dead'])
    for (const days of [6, 8, 31]) await givenJobs(state, days);
  await givenJobs('queued', 400);
  await givenJobs('running', 400);
  await prune();
  expect(await left()).toEqual([
    'cancelled 6',
    'cancelled 8',
    'dead 31',
    'dead 6',
    'dead 8',
    'discarded 6',
    'discarded 8',
    'queued 400',
    'running 400',
    'succeeded 6',
  ]);
});

test('a contract says how long its jobs are kept, by their state, under each of its names', async () => {
  await environment.sql('truncate jobs cascade');
  const base = { queue: 'a', payload: z.object({}) };
  const { ages: names } = new Contracts([
    defineJob({ ...base, name: 'one.age', keep: '40d' }),
    defineJob({ ...base, name: 'own.state', renamedFrom: 'before.own', keep: { succeeded: '1h' } }),
    defineJob({ ...base, name: 'as.all' }),
  ]);
  for (const state of ['succeeded', 'cancelled', 'dead'])
    for (const days of [1, 8, 31, 41]) await givenJobs(state, days);
  await environment.sql(`
    insert into jobs (id, name, queue, state, payload, max_attempts, run_at, finished_at)
      select gen_random_uuid(), n, n || ' ' || queue, state, payload, max_attempts, run_at, finished_at
      from jobs cross join unnest(array['one.age', 'own.state', 'before.own', 'as.all']) as n`);
  await environment.sql(`delete from jobs where name = 'a.b'`);
  for await (const _ of retention.prune({ ...ages, names }));
  const gone = (name: string, days: Record<string, number[]>) =>
    Object.entries(days).flatMap(([state, all]) => all.map((day) => `${name} ${state} ${day}`));
  const dead = [1, 8, 31, 41];
  expect(await left()).toEqual(
    [
      ...gone('one.age', { succeeded: [1, 8, 31], cancelled: [1, 8, 31], dead }),
      ...gone('own.state', { cancelled: [1, 8], dead }),
      ...gone('before.own', { cancelled: [1, 8], dead }),
      ...gone('as.all', { succeeded: [1], cancelled: [1, 8], dead }),
    ].sort(),
  );
});

test('a job that was cancelled between two attempts stays until its message has come back', async () => {
  await environment.sql('truncate jobs cascade');
  await givenJobs('cancelled', 31);
  await environment.sql(`update jobs set run_at = now() + interval '1 hour'`);
  await prune();
  expect(await left()).toEqual(['cancelled 31']);
});

test('a large table is gone through in small steps, each of which can be the last', async () => {
  await environment.sql('truncate jobs cascade');
  await givenJobs('succeeded', 8, 20_000);
  let largest = 0;
  for await (const { table, deleted } of retention.prune(ages)) {
    if (table === 'jobs') largest = Math.max(largest, deleted);
    if (deleted > 0) break;
  }
  const rest = (await left()).length;
  expect(rest).toBe(20_000 - largest);
  expect(rest).toBeGreaterThan(10_000);

  const steps = await prune();
  expect(steps.at(-1)?.fraction).toBe(1);
  expect(Math.max(...steps.map(({ deleted }) => deleted))).toBeLessThan(10_000);
  expect(await left()).toEqual([]);
});

test('P13: a job stays for as long as its key, which goes with it', async () => {
  await environment.sql('truncate jobs cascade');
  await givenJobs('succeeded', 31);
  await givenJobs('cancelled', 31);
  await environment.sql(`
    insert into job_keys (scope, key, job, expires_at, until_ended)
      select state, 'k', id, now() + interval '1 day', state = 'succeeded' from jobs`);
  await prune();
  expect(await left()).toEqual(['cancelled 31', 'succeeded 31']);
  await environment.sql('update job_keys set expires_at = now()');
  await prune();
  const [counts] = await environment.sql(`
    select (select count(*)::int from jobs) as jobs, (select count(*)::int from job_keys) as keys`);
  expect(counts).toEqual({ jobs: 0, keys: 0 });
});

test('the log of a job goes with it', async () => {
  await environment.sql('truncate jobs cascade');
  await givenJobs('succeeded', 31);
  await givenJobs('dead', 31);
  await environment.sql(`
    insert into job_logs (job, claim, line, attempt, at, level, message, fields)
      select id, 1, n, 1, now(), 'info', state, '{}' from jobs cross join generate_series(1, 3) n`);
  await prune();
  expect(await environment.sql('select message from job_logs')).toEqual(Array(3).fill({ message: 'dead' }));
  const steps = await prune();
  expect(steps.filter(({ table }) => table === 'job_logs')).toMatchObject([{ deleted: 0 }]);
});
