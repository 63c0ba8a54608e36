import { Injectable, Optional } from '@nestjs/common';
import { Duty } from '#common';
import { DeadJobStore, WorkerLock } from '#records';
import { AfterDeath } from '../after-death.js';
import { StartDeadlineError } from '../errors.js';
import { describeError } from '../lifecycle/outcome.js';
import { PollIntervals } from './poll-intervals.js';

/** How long a job that could not start in time may still wait; a worker that claims it makes it dead at once. */
const POLL_INTERVAL_MS = 2_000;
const LIMIT = 1_000;

/** Makes jobs dead that could not start within their time, also where no worker takes them. One worker looks for all. */
@Injectable()
export class StartDeadlines extends Duty {
  constructor(
    private readonly dead: DeadJobStore,
    private readonly lock: WorkerLock,
    private readonly afterDeath: AfterDeath,
    @Optional() intervals?: PollIntervals,
  ) {
    super({ name: 'Looking for late jobs', intervalMs: intervals?.startDeadlines ?? POLL_INTERVAL_MS });
  }

  /** @returns whether there may be more. */
  protected async run(): Promise<boolean> {
    if (!(await this.lock.isLeader('startDeadlines'))) return false;
    const late = await this.dead.late(LIMIT);
    if (late.length === 0) return false;
    const deaths = late.map(({ startWithin, ...job }) => {
      const { stack: _, ...error } = describeError(new StartDeadlineError(startWithin));
      return { ...job, error: JSON.stringify({ ...error, stack: null }) };
    });
    const count = await this.afterDeath.deadLetter(deaths, 'late');
    if (count > 0) this.logger.warn({ msg: 'Dead-lettering jobs that could not start in time', count });
    return late.length === LIMIT;
  }
}
