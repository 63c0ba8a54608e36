import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { QueueRecords } from '#records';

/** How often a worker asks which queues are paused; it is to know within a second. */
const ASK_EVERY_MS = 500;

/** Tells a worker which queues are paused: a pause is a row in the database, so it outlives every process. */
@Injectable()
export class Pauses {
  private readonly logger = new Logger(Pauses.name);
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly queues: QueueRecords) {}

  /** The queues that are paused now. @throws DatabaseUnavailableError */
  now(): Promise<ReadonlySet<string>> {
    return this.queues.paused();
  }

  /** @param onAnswer told which queues are paused, again and again. */
  start(onAnswer: (paused: ReadonlySet<string>) => void): void {
    this.loop = this.run(onAnswer);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(onAnswer: (paused: ReadonlySet<string>) => void): Promise<void> {
    const { signal } = this.stopping;
    let known = '';
    while (!signal.aborted) {
      await pause(ASK_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // While the database is away all stays as it was.
      const paused = await this.queues.paused().catch(() => undefined);
      if (!paused || signal.aborted) continue;
      const names = [...paused].sort().join(', ');
      if (names !== known) this.logger.log(names ? `Paused queues: ${names}` : 'No queue is paused any more');
      known = names;
      onAnswer(paused);
    }
  }
}
