import type { Command } from 'commander';
import type { WorkerView } from '#records';
import { Failure, notFound } from './exit.js';
import { answer, clean, table } from './output.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';

const MIB = 1024 * 1024;

/** Adds the commands workers, workers quiet, unquiet and stop. */
export function addWorkers(program: Command): void {
  const group = command(
    program,
    'workers',
    'list the workers that are alive, and what each runs now',
    'workers',
  ).action((options: Common) =>
    withTools(async ({ workers }) =>
      answer(options, { items: await workers.list() }, ({ items }) =>
        [workerTable(items), ...(items.some(({ running }) => running > 0) ? ['', jobTable(items)] : [])].join(
          '\n',
        ),
      ),
    ),
  );

  for (const [action, state, description] of [
    ['quiet', 'quiet', 'let a worker take no more jobs, from a second from now on'],
    ['unquiet', 'working', 'let a quiet worker take jobs again'],
    ['stop', 'stopping', 'end a worker as SIGTERM does'],
  ] as const) {
    command(group, `${action} <worker>`, description, `workers ${action} worker-1:42`).action(
      (name: string, options: Common) => withTools((tools) => ask(tools, action, name, state, options)),
    );
  }
}

async function ask(
  tools: Tools,
  action: string,
  which: string,
  state: WorkerView['state'],
  options: Common,
): Promise<void> {
  const order = () => tools.workers.ask(which, state);
  const worker = await tools.audited(`worker.${action}`, which, order, (worker) => ({
    count: worker && worker.state !== state && worker.state !== 'stopping' ? 1 : 0,
  }));
  if (!worker) throw notFound(`No worker is alive with the id or name ${clean(which)}`);
  const { name, state: former } = worker;
  if (former === 'stopping' && state !== 'stopping') throw new Failure(`${clean(name)} is about to stop`);
  answer(options, { ...worker, state }, () =>
    former === state ? `${clean(name)} was ${state} already` : `${clean(name)} is ${state}`,
  );
}

export const workerTable = (workers: readonly WorkerView[]): string =>
  table(
    ['WORKER', 'STATE', 'STARTED', 'RUNNING', 'LAG MS', 'MIB', 'SEEN', 'QUEUES'],
    workers.map(({ name, state, startedAt, running, eventLoopLagMs, rssBytes, lastSeen, queues }) => [
      ...[name, state, startedAt, running, Math.round(eventLoopLagMs), Math.round(rssBytes / MIB), lastSeen],
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
