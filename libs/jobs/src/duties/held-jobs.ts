import { Injectable, Optional } from '@nestjs/common';
import { Duty } from '#common';
import { OutboxStore, WorkerLock } from '#records';
import { PollIntervals } from './poll-intervals.js';

/** How long a held job waits at most once a worker has started that knows it. */
const POLL_INTERVAL_MS = 2_000;
/** Jobs that are published at once: as many in a second as a replay takes. Beside old workers they are held again. */
const LIMIT = 2_000;

/** Has the jobs published that are held for a worker that knows them, when there is one. One worker looks for all. */
@Injectable()
export class HeldJobs extends Duty {
  constructor(
    private readonly store: OutboxStore,
    private readonly lock: WorkerLock,
    @Optional() intervals?: PollIntervals,
  ) {
    super({ name: 'Publishing held jobs', intervalMs: intervals?.heldJobs ?? POLL_INTERVAL_MS });
  }

  protected async run(): Promise<void> {
    if (!(await this.lock.isLeader('heldJobs'))) return;
    const count = await this.store.makeHeldDue(LIMIT);
    if (count > 0)
      this.logger.log({ msg: 'Publishing jobs that were held for a worker that knows them', count });
  }
}
