import type { Command } from 'commander';
import type { Queue } from '#records';
import { Failure, MIGRATION_USER, notFound } from './exit.js';
import { answer, clean, table, unchanged } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';

/** Adds the commands queues, queues delete, pause and resume. */
export function addQueues(program: Command): void {
  const group = command(
    program,
    'queues',
    'count the jobs of each queue by state',
    'queues',
    'queues --json',
  ).action((options: Common) =>
    withTools(async ({ queues }) =>
      answer(options, { items: await queues.list() }, ({ items }) => queueTable(items)),
    ),
  );

  command(
    group,
    'delete <queue>',
    'delete a queue of the broker that no contract has any more, when it is empty',
    'queues delete email-old',
  )
    .addHelpText('after', `\nTo delete queues, ${MIGRATION_USER}.`)
    .action((queue: string, options: Common) => withTools((tools) => remove(tools, queue, options)));

  for (const [action, description] of [
    ['pause', 'let no worker take jobs of a queue, from a second from now on'],
    ['resume', 'let workers take jobs of a queue again'],
  ] as const) {
    command(program, `${action} <queue>`, description, `${action} email`).action(
      (queue: string, options: Common) =>
        withTools(async (tools) => {
          const found = await find(tools, queue);
          const changed = await tools.audited(`queue.${action}`, queue, () =>
            tools.queueStore[action](queue),
          );
          answer(options, { ...found, paused: action === 'pause' }, () =>
            changed ? `${queue} is ${action}d` : unchanged(queue, action),
          );
        }),
    );
  }
}

async function find({ queues }: Tools, name: string): Promise<Queue> {
  const found = (await queues.list()).find(({ queue }) => queue === name);
  if (!found) throw notFound(`No contract and no job has a queue named ${clean(name)}`);
  return found;
}

async function remove(tools: Tools, name: string, options: Common): Promise<void> {
  const { scheduled, queued, running, retrying, dead, advice } = await find(tools, name);
  const left = await tools.queues.leftovers();
  if (!left.has(name))
    throw new Failure(`A contract has ${name}, or had it (movedFrom): take it out of the contract first`);
  if (scheduled + queued + running + retrying + dead > 0)
    throw new Failure(`Not every job of ${name} has ended. ${advice ?? 'Workers still take them'}`);
  const deletion = () =>
    tools.queues.delete(name).catch((error) => {
      throw error.code === 403
        ? new Failure(`The broker user may not delete queues: ${MIGRATION_USER}`)
        : error;
    });
  const used = await tools.audited('queue.delete', name, deletion, (used) => ({
    count: used === undefined ? 1 : 0,
  }));
  if (used !== undefined)
    throw new Failure(`${used} holds messages or has a consumer: it stays. ${advice ?? 'Try again later'}`);
  answer(options, { deleted: left.get(name) }, () => `Deleted ${left.get(name)?.join(', ')}`);
}

/** What is to be done about a queue stands below the table. */
export const queueTable = (queues: readonly Queue[]): string =>
  [
    table(
      ['QUEUE', 'READY', 'RUNNING', 'RETRYING', 'SCHEDULED', 'DEAD', 'CONSUMERS', 'PAUSED', 'WAITS SINCE'],
      queues.map(({ queue, ready, running, retrying, scheduled, dead, consumers, paused, oldestWaiting }) => [
        ...[queue, ready, running, retrying, scheduled, dead, consumers, paused, oldestWaiting],
      ]),
    ),
    ...queues.flatMap(({ queue, advice }) => (advice === null ? [] : [clean(`${queue}: ${advice}`)])),
  ].join('\n');
