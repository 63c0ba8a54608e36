import type { Command } from 'commander';
import type { Missed, Overlap, ScheduleView } from '#schedules';
import { Failure, notFound, wrongUse } from './exit.js';
import { answer, clean, table, unchanged } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readJson, readTags } from './values.js';

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
      const run = () => tools.schedules.run(name);
      const job = await tools.audited('schedule.run', name, run, (job) => ({ count: job ? 1 : 0 }));
      if (!job) throw new Failure('The schedule is disabled: the workers do not declare it any more');
      answer(options, job, ({ id }) => `Enqueued ${id}`);
    }),
  );

  command(
    group,
    'put <name> <cron> <job> [payload]',
    'make a schedule, or change one that was made so; the payload is JSON',
    `schedules put digest.acme '0 7 * * *' digest.send '{"tenant":"acme"}' --time-zone Europe/Berlin`,
  )
    .option('--time-zone <name>', 'whose clock it goes by, such as Europe/Berlin', 'UTC')
    .option('--missed <policy>', 'what becomes of missed ticks: skip, once or all')
    .option('--overlap <policy>', 'while the job before runs: allow or skip')
    .option('--tag <tag>', 'find its jobs by this; may be given up to 10 times', readTags)
    .action((name: string, cron: string, job: string, payload = '{}', options: PutOptions) =>
      withTools(async (tools) => {
        const { timeZone, missed, overlap, tag: tags } = options;
        const contract = tools.contracts.find(job);
        if (!contract) throw notFound(`No contract is named ${clean(job)}`);
        const definition = {
          name,
          cron,
          timeZone,
          job: contract,
          payload: await readJson(payload),
          missed,
          overlap,
          tags,
        };
        const put = () => tools.schedules.put(definition).catch(refuse);
        await tools.audited('schedule.put', name, put, () => ({ count: 1 }));
        answer(options, await find(tools, name), ({ next }) => `${name} fires at ${next[0]?.toISOString()}`);
      }),
    );

  command(
    group,
    'delete <name>',
    'delete a schedule that the workers do not declare; its jobs stay',
    'schedules delete digest.acme',
  ).action((name: string, options: Common) =>
    withTools(async (tools) => {
      await find(tools, name);
      await tools.audited('schedule.delete', name, () => tools.schedules.delete(name).catch(refuse));
      answer(options, { deleted: name }, () => `Deleted ${name}`);
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
          const changed = await tools.audited(`schedule.${action}`, name, () =>
            tools.schedules[action](name),
          );
          answer(options, await find(tools, name), ({ state }) =>
            changed ? `${name} is ${state}` : unchanged(name, action),
          );
        }),
    );
  }
}

type PutOptions = Common & { timeZone: string; missed?: Missed; overlap?: Overlap; tag?: string[] };

/** What the person who asked for it has to change. */
function refuse(error: Error): never {
  throw /^(Contract|ScheduleOfCode)Error$/.test(error.name) ? wrongUse(error.message) : error;
}

async function find({ schedules }: Tools, name: string): Promise<ScheduleView> {
  const schedule = await schedules.find(name);
  if (!schedule) throw notFound(`No schedule is named ${clean(name)}`);
  return schedule;
}
