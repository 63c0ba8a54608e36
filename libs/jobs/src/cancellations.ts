import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Records } from '#records';
import { Executor } from './executor.js';

/** How often a worker asks which of its jobs are to stop; they are to know within a second. */
const ASK_EVERY_MS = 500;

/** Tells running jobs that somebody wants them to stop. Asks the records, through an index that is nearly always empty. */
@Injectable()
export class Cancellations {
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    private readonly records: Records,
    private readonly executor: Executor,
  ) {}

  start(): void {
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await pause(ASK_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted || this.executor.size === 0) continue;
      // While the database is away nobody can ask for a cancellation either.
      const cancelling = await this.records.cancelling().catch(() => []);
      for (const { id, claim } of cancelling) this.executor.cancel(id, claim);
    }
  }
}
