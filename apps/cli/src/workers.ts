import type { Command } from 'commander';
import type { WorkerView } from '#records';
import { answer, table } from './output.js';
import { type Common, command, withTools } from './run.js';

const MIB = 1024 * 1024;

/** Adds the command workers. */
export function addWorkers(program: Command): void {
  command(program, 'workers', 'list the workers that are alive, and what each runs now', 'workers').action(
    (options: Common) =>
      withTools(async ({ workers }) =>
        answer(options, { items: await workers.list() }, ({ items }) =>
          [
            workerTable(items),
            ...(items.some(({ running }) => running > 0) ? ['', jobTable(items)] : []),
          ].join('\n'),
        ),
      ),
  );
}

export const workerTable = (workers: readonly WorkerView[]): string =>
  table(
    ['WORKER', 'STARTED', 'RUNNING', 'LAG MS', 'MIB', 'SEEN', 'QUEUES'],
    workers.map(({ name, startedAt, running, eventLoopLagMs, rssBytes, lastSeen, queues }) => [
      ...[name, startedAt, running, Math.round(eventLoopLagMs), Math.round(rssBytes / MIB), lastSeen],
      queues.join(' '),
    ]),
  );

const jobTable = (workers: readonly WorkerView[]): string =>
  table(
    ['WORKER', 'JOB', 'NAME', 'ATTEMPT', 'STARTED'],
    workers.flatMap(({ name: worker, jobs }) =>
      jobs.map(({ id, name, attempt, startedAt }) => [worker, id, name, attempt, startedAt]),
    ),
  );
