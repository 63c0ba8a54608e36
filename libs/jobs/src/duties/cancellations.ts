import { Injectable, Logger } from '@nestjs/common';
import { PollingLoop } from '#common';
import { JobStore } from '#records';
import { Executor } from '../lifecycle/executor.js';
import { Duty } from './duty.js';

/** How often a worker reads which of its jobs are cancelled: a handler must know within a second. */
const POLL_INTERVAL_MS = 500;

/** Tells running jobs that they are cancelled. The query uses an index that is nearly always empty. */
@Injectable()
export class Cancellations extends Duty {
  // While the database is down, nobody can cancel a job.
  protected readonly loop = new PollingLoop(
    { name: 'Reading cancellations', logger: new Logger(Cancellations.name), intervalMs: POLL_INTERVAL_MS },
    () => this.ask(),
  );

  constructor(
    private readonly store: JobStore,
    private readonly executor: Executor,
  ) {
    super();
  }

  private async ask(): Promise<void> {
    if (this.executor.size === 0) return;
    for (const { id, claim } of await this.store.cancelling()) this.executor.cancel(id, claim);
  }
}
