import { Injectable, Logger } from '@nestjs/common';
import { PollingLoop } from '#common';
import { GoneWorkers, OutboxStore } from '#records';
import { Duty } from './duty.js';

/** How often jobs of workers that are gone are looked for; a redelivery by the broker finds most of them first. */
const POLL_INTERVAL_MS = 3_000;

/** Makes running jobs due again whose worker is gone, when no message brings them back. */
@Injectable()
export class Rescuer extends Duty {
  private readonly logger = new Logger(Rescuer.name);
  protected readonly loop = new PollingLoop(
    {
      name: 'Rescuing jobs of workers that are gone',
      logger: this.logger,
      intervalMs: POLL_INTERVAL_MS,
    },
    () => this.rescue(),
  );
  private readonly gone = new GoneWorkers();

  constructor(private readonly store: OutboxStore) {
    super();
  }

  private async rescue(): Promise<void> {
    const gone = this.gone.confirm(await this.store.goneWorkers());
    if (gone.length === 0) return;
    const rescued = await this.store.rescue(gone);
    if (rescued > 0) this.logger.warn({ msg: 'Publishing jobs of dead workers again', count: rescued });
  }
}
