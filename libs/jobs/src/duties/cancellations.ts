import { Injectable } from '@nestjs/common';
import { Duty } from '#common';
import { JobStore } from '#records';
import { Executor } from '../lifecycle/executor.js';

/** How often a worker reads which of its jobs are cancelled: a handler must know within a second. */
const POLL_INTERVAL_MS = 500;

/** Tells running jobs that they are cancelled. The query uses an index that is nearly always empty. */
@Injectable()
export class Cancellations extends Duty {
  constructor(
    private readonly store: JobStore,
    private readonly executor: Executor,
  ) {
    super({ name: 'Reading cancellations', intervalMs: POLL_INTERVAL_MS });
  }

  protected async run(): Promise<void> {
    if (this.executor.size === 0) return;
    for (const { id, claim } of await this.store.cancelling()) this.executor.running.cancel(id, claim);
  }
}
