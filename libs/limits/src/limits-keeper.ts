import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { PollingLoop } from '#common';
import { GoneWorkers, RecordsDatabase } from '#records';
import { ConcurrencyLimiter } from './concurrency-limiter.js';
import * as sql from './concurrency-statements.js';
import { RateLimiter } from './rate-limiter.js';

/** For the slots of workers that are gone: what is released is passed on at once. */
const SWEEP_EVERY_MS = 2_000;
const PRUNE_EVERY_MS = 60_000;

/** Keeps the rows of limits true: frees the slots of workers that are gone, and drops rows that say nothing any more. */
@Injectable()
export class LimitsKeeper implements BeforeApplicationShutdown {
  private readonly logger = new Logger(LimitsKeeper.name);
  private readonly sweeping = new PollingLoop(
    { name: 'Sweeping concurrency limits', logger: this.logger, intervalMs: SWEEP_EVERY_MS },
    () => this.sweep(),
  );
  private readonly pruning = new PollingLoop(
    { name: 'Pruning limits', logger: this.logger, intervalMs: PRUNE_EVERY_MS },
    () => Promise.all([this.rates.prune(), this.slots.prune()]),
  );
  private readonly gone = new GoneWorkers();

  constructor(
    private readonly database: RecordsDatabase,
    private readonly slots: ConcurrencyLimiter,
    private readonly rates: RateLimiter,
  ) {}

  /** Begins with the first limit that a worker has. */
  start(): void {
    this.sweeping.start();
    this.pruning.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([this.sweeping.stop(), this.pruning.stop()]);
  }

  private async sweep(): Promise<void> {
    await this.dropGone();
    const { rows } = await this.database.query<sql.Waiter>(sql.awaited);
    await this.slots.wakeForFree(rows);
  }

  private async dropGone(): Promise<void> {
    const { rows } = await this.database.query<{ worker: number }>(sql.missingHolders);
    const gone = this.gone.confirm(rows.map(({ worker }) => worker));
    if (gone.length > 0) await this.database.query(sql.drop(gone));
  }
}
