import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess, root } from '#testing/services';

let environment: Environment;
const processes: AppProcess[] = [];

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
});
afterAll(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await environment?.close();
});

test('P11: two workers as they are deployed make up for a missed night with one job, which prunes', async () => {
  await environment.sql(`
    insert into jobs (id, name, queue, state, payload, max_attempts, run_at, finished_at)
    select gen_random_uuid(), 'left.over', 'left', state, '{}', 5, now() - age::interval, now() - age::interval
    from unnest(array['succeeded', 'succeeded', 'cancelled', 'dead'], array['31 days', '29 days', '31 days', '31 days'])
      as j (state, age)`);
  // Of the repository: in the apps that tests start as a rule, schedules are put off.
  const start = () => givenProcess('worker', environment, {}, { folder: root });
  processes.push(...(await Promise.all([start(), start()])));
  await eventually(
    async () => (await environment.sql(`select from schedules where name = 'records.prune'`)).length > 0,
    30_000,
  );
  await environment.sql(
    `update schedules set next_at = now() - interval '71 hours 59 minutes' where name = 'records.prune'`,
  );
  const prunes = () =>
    environment.sql<{ id: string; state: string; result: unknown }>(
      `select id, state, result from jobs where name = 'records.prune'`,
    );
  await eventually(async () => (await prunes())[0]?.state === 'succeeded', 60_000);

  const decided = await environment.sql<{ outcome: string; job: string | null }>(
    `select * from schedule_ticks where schedule = 'records.prune' order by tick`,
  );
  expect(decided.map(({ outcome }) => outcome)).toEqual(['missed', 'missed', 'enqueued']);
  expect(await prunes()).toEqual([
    {
      id: decided[2]!.job,
      state: 'succeeded',
      result: { deleted: expect.objectContaining({ jobs: 2, schedule_ticks: 0 }) },
    },
  ]);
  const kept = await environment.sql<{ state: string }>(`select state from jobs where name = 'left.over'`);
  expect(kept.map(({ state }) => state).sort()).toEqual(['dead', 'succeeded']);
}, 120_000);
