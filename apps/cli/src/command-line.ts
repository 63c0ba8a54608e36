import { Command } from 'commander';
import { addDeadLetters } from './dead-letters.js';
import { addJobs } from './jobs.js';
import { addManyJobs } from './many-jobs.js';
import { addQueues } from './queues.js';
import { addRebuild } from './rebuild.js';
import { addReencrypt } from './reencrypt.js';
import { addSchedules } from './schedules.js';
import { addWatch } from './watch.js';
import { addWorkers } from './workers.js';

/** All commands, one group a file. A command loads the libs only when it runs, so that help is fast. */
export function commandLine(): Command {
  const program = new Command('jobs')
    .description('Looks after the jobs of this service.')
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong use, 3 no such thing, 130 interrupted.')
    .showHelpAfterError('Add --help for what there is.')
    .exitOverride();
  addJobs(program);
  addManyJobs(program);
  addDeadLetters(program);
  addQueues(program);
  addSchedules(program);
  addWorkers(program);
  addWatch(program);
  addRebuild(program);
  addReencrypt(program);
  return program;
}
