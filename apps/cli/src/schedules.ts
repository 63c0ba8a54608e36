import type { Command } from 'commander';
import type { ScheduleView } from '#schedules';
import { Failure, notFound } from './exit.js';
import { answer, clean, table, unchanged } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';

/** Adds the command group schedules. */
export function addSchedules(program: Command): void {
  const group = program.command('schedules').description('look after recurring jobs');

  command(group, 'list', 'list the schedules, each with its next tick', 'schedules list').action(
    (options: Common) =>
      withTools(async ({ schedules }) =>
        answer(options, { items: await schedules.list() }, ({ items }) =>
          table(
            ['NAME', 'CRON', 'TIME ZONE', 'JOB', 'STATE', 'LAST TICK', 'OUTCOME', 'NEXT TICK'],
            items.map(({ name, cron, timeZone, job, state, lastTick, next }) => [
              ...[name, cron, timeZone, job, state, lastTick?.at, lastTick?.outcome, next[0]],
            ]),
          ),
        ),
      ),
  );

  command(
    group,
    'run <name>',
    "enqueue a schedule's job now; its ticks stay as they are",
    'schedules run prune',
  ).action((name: string, options: Common) =>
    withTools(async (tools) => {
      await find(tools, name);
      let job: Awaited<ReturnType<typeof tools.schedules.run>>;
      await tools.audited('schedule.run', name, async () => {
        job = await tools.schedules.run(name);
        return job ? 1 : 0;
      });
      if (!job) throw new Failure('The schedule is disabled: the workers do not declare it any more');
      answer(options, job, ({ id }) => `Enqueued ${id}`);
    }),
  );

  for (const [action, description] of [
    ['pause', 'let no tick fire until the schedule is resumed'],
    ['resume', 'let a schedule fire again, from its next tick on'],
  ] as const) {
    command(group, `${action} <name>`, description, `schedules ${action} prune`).action(
      (name: string, options: Common) =>
        withTools(async (tools) => {
          await find(tools, name);
          const changed = await tools.audited(`schedule.${action}`, name, async () =>
            Number(await tools.schedules[action](name)),
          );
          answer(options, await find(tools, name), ({ state }) =>
            changed ? `${name} is ${state}` : unchanged(name, action),
          );
        }),
    );
  }
}

async function find({ schedules }: Tools, name: string): Promise<ScheduleView> {
  const schedule = await schedules.find(name);
  if (!schedule) throw notFound(`No schedule is named ${clean(name)}`);
  return schedule;
}
