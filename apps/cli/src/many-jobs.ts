import type { Command } from 'commander';
import type { JobFilter } from '#records';
import { actOn, type BulkOptions, editOf, withEdit, withRate, withSelection, withState } from './bulk.js';
import { wrongUse } from './exit.js';
import { answer } from './output.js';
import { command, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readDelay, readTime } from './values.js';

interface RescheduleOptions extends BulkOptions {
  delay?: string;
  runAt?: Date;
}

const jobs = { noun: 'job', subject: 'jobs' } as const;
const counting =
  (action: 'cancel' | 'reschedule' | 'rerun') =>
  ({ bulk }: Tools, filter: JobFilter) =>
    bulk.count(action, filter);

/** Adds the commands rerun and reschedule. */
export function addManyJobs(program: Command): void {
  withEdit(
    withState(
      withSelection(
        command(
          program,
          'rerun',
          'enqueue jobs that have ended again, as new ones, but for those that were before',
          `rerun 01890a5d-ac96-774b-bcce-b302099a8057 --payload '{"to":"ada@example.com"}'`,
          'rerun --where /customer/id:42 --state cancelled --per-second 50',
        ),
        'ended',
      ),
    ),
  ).action(async (ids: string[], options: BulkOptions) => {
    const [id] = ids;
    if (id !== undefined && isOne(ids, options)) return rerunOne(id, options);
    await actOn(ids, options, {
      ...jobs,
      ...{ action: 'rerun', words: ['Rerun', 'Rerunning', 'Reran'], count: counting('rerun') },
      leftOut: 'their payload does not fit, or no contract has their name',
      act: (tools, filter, change, { patch }) => tools.jobs.rerunAll(filter, { ...change, patch }),
    });
  });

  withRate(
    withSelection(
      command(
        program,
        'reschedule',
        'move jobs that wait for their time to another time',
        'reschedule --tag tenant:acme --run-at 2027-01-31T09:00:00Z --per-second 50',
      ),
      'were enqueued',
    ),
  )
    .option('--delay <duration>', 'to so long from now, such as 10m')
    .option('--run-at <time>', 'to then', readTime)
    .action(async (ids: string[], { delay, runAt, ...options }: RescheduleOptions) => {
      if ((delay === undefined) === (runAt === undefined)) throw wrongUse('Give either --delay or --run-at');
      const to = { runAt, delayMs: await readDelay(delay) };
      await actOn(ids, options, {
        ...jobs,
        ...{ action: 'reschedule', words: ['Reschedule', 'Rescheduling', 'Rescheduled'] },
        count: counting('reschedule'),
        act: ({ bulk }, filter, change) => bulk.reschedule(filter, to, change),
      });
    });
}

/** Cancels those that a filter means. */
export const cancelMany = (ids: string[], options: BulkOptions): Promise<void> =>
  actOn(ids, options, {
    ...jobs,
    ...{ action: 'cancel', words: ['Cancel', 'Cancelling', 'Cancelled'], count: counting('cancel') },
    act: ({ bulk }, filter, change) => bulk.cancel(filter, change),
  });

/** One by its id alone is shown, not counted. */
export const isOne = (ids: string[], { json, payload, patch, ...filter }: BulkOptions): boolean =>
  ids.length === 1 && Object.keys(filter).length === 0;

async function rerunOne(id: string, options: BulkOptions): Promise<void> {
  const edit = await editOf([id], options);
  await withTools(async (tools) => {
    const job = await tools.audited('job.rerun', id, () => tools.jobs.rerun(id, edit));
    answer(options, job, (job) => `Enqueued ${id} again as ${job.id}, ${job.state}`);
  });
}
