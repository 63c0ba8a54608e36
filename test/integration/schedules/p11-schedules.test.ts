import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from '#jobs';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';

/** The contract of `ticking-worker.js`. */
const Tick = defineJob({ name: 'tick', queue: 'tick', payload: z.object({}) });

let environment: Environment;
const processes: AppProcess[] = [];

beforeEach(async () => {
  environment = await givenEnvironment([Tick]);
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await environment?.close();
});

async function given(app: Parameters<typeof givenProcess>[0]): Promise<AppProcess> {
  const process = await givenProcess(app, environment);
  processes.push(process);
  return process;
}
const ticks = () =>
  environment.sql<{ tick: Date; outcome: string; job: string | null }>(
    'select * from schedule_ticks order by tick',
  );
const jobs = () => environment.sql<{ id: string; state: string }>('select id, state from jobs');
const untilTicks = (more: number) =>
  ticks().then(({ length }) => eventually(async () => (await ticks()).length >= length + more, 40_000));

test('P11: a schedule of each second, three worker processes killed and started again: one job for each second', async () => {
  const start = () => given('test/support/ticking-worker.js');
  const [first, second, third] = await Promise.all([start(), start(), start()]);
  await untilTicks(4);
  await first.stop('SIGKILL');
  await untilTicks(2);
  await Promise.all([second.stop('SIGTERM'), start()]);
  await untilTicks(3);
  // Nobody is left for some seconds.
  await Promise.all([third.stop('SIGKILL'), processes.at(-1)!.stop('SIGKILL')]);
  await eventually(async () => {
    const [row] = await environment.sql<{ late: boolean }>(
      `select now() > next_at + interval '3 seconds' as late from schedules`,
    );
    return row?.late;
  });
  await Promise.all([start(), start()]);
  await untilTicks(6);
  await Promise.all(processes.slice(-2).map((process) => process.stop('SIGKILL')));
  await start();
  await untilTicks(2);
  await eventually(async () => (await jobs()).every(({ state }) => state === 'succeeded'), 30_000);
  await processes.at(-1)!.stop('SIGTERM');

  const decided = await ticks();
  const seconds = decided.map(({ tick }) => tick.getTime() / 1_000);
  expect(seconds).toEqual(seconds.map((_, n) => seconds[0]! + n));
  expect(new Set(decided.map(({ outcome }) => outcome))).toEqual(new Set(['enqueued']));
  expect((await jobs()).map(({ id }) => id).sort()).toEqual(decided.map(({ job }) => job).sort());
}, 150_000);
