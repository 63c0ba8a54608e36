import type { Command } from 'commander';
import type { QueueView } from '#records';
import { notFound } from './exit.js';
import { answer, clean, table, unchanged } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';

type Queue = QueueView & { ready: number; consumers: number | null };

/** Adds the commands queues, pause and resume. */
export function addQueues(program: Command): void {
  command(program, 'queues', 'count the jobs of each queue by state', 'queues', 'queues --json').action(
    (options: Common) =>
      withTools(async (tools) =>
        answer(options, { items: await readQueues(tools) }, ({ items }) => queueTable(items)),
      ),
  );

  for (const [action, description] of [
    ['pause', 'let no worker take jobs of a queue, from a second from now on'],
    ['resume', 'let workers take jobs of a queue again'],
  ] as const) {
    command(program, `${action} <queue>`, description, `${action} email`).action(
      (queue: string, options: Common) =>
        withTools(async (tools) => {
          if (!tools.contracts.queues.has(queue))
            throw notFound(`No contract has a queue named ${clean(queue)}`);
          const changed = await tools.audited(`queue.${action}`, queue, async () =>
            Number(await tools.queues[action](queue)),
          );
          const shown = (await readQueues(tools)).find((view) => view.queue === queue);
          answer(options, shown, () => (changed ? `${queue} is ${action}d` : unchanged(queue, action)));
        }),
    );
  }
}

/** The queues of all contracts, and others that have jobs, sorted by name. */
export async function readQueues({ queues, contracts, broker }: Tools): Promise<Queue[]> {
  const views = await queues.list(contracts.queues.keys());
  const counted = views.map(async (view) => ({
    ...view,
    ready: view.queued,
    consumers: (await broker.countConsumers(view.queue)) ?? null,
  }));
  return Promise.all(counted);
}

export const queueTable = (queues: readonly Queue[]): string =>
  table(
    ['QUEUE', 'READY', 'RUNNING', 'RETRYING', 'SCHEDULED', 'DEAD', 'CONSUMERS', 'PAUSED', 'WAITS SINCE'],
    queues.map(({ queue, ready, running, retrying, scheduled, dead, consumers, paused, oldestWaiting }) => [
      ...[queue, ready, running, retrying, scheduled, dead, consumers, paused, oldestWaiting],
    ]),
  );
