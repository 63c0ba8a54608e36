import { Injectable } from '@nestjs/common';
import { Duty } from '#common';
import { GoneWorkers, OutboxStore } from '#records';

/** How often jobs of workers that are gone are looked for; a redelivery by the broker finds most of them first. */
const POLL_INTERVAL_MS = 3_000;
/**
 * How often the jobs of all workers that are gone are looked for, rather than of those that went since: one may have claimed
 * a job after it had lost its lock. It reads all that passed since PostgreSQL could clean up.
 */
const LOOK_AT_ALL_MS = 60_000;

/** Makes running jobs due again whose worker is gone, when no message brings them back. */
@Injectable()
export class Rescuer extends Duty {
  private readonly gone = new GoneWorkers();
  /** Those whose jobs were rescued. */
  private done = new Set<number>();
  private doneSince = 0;

  constructor(private readonly store: OutboxStore) {
    super({ name: 'Rescuing jobs of workers that are gone', intervalMs: POLL_INTERVAL_MS });
  }

  protected async run(): Promise<void> {
    const gone = this.gone.confirm(await this.store.missingWorkers());
    if (performance.now() - this.doneSince > LOOK_AT_ALL_MS) {
      this.done.clear();
      this.doneSince = performance.now();
    }
    const isNew = gone.some((worker) => !this.done.has(worker));
    const rescued = isNew ? await this.store.rescue(gone) : 0;
    this.done = new Set(gone);
    if (rescued > 0) this.logger.warn({ msg: 'Publishing jobs of dead workers again', count: rescued });
  }
}
