import { Injectable } from '@nestjs/common';
import { Duty } from '#common';
import { QueueStore } from '#records';

/** How often a worker asks which queues are paused; it is to know within a second. */
const POLL_INTERVAL_MS = 500;

/** Tells a worker which queues are paused: a pause is a row in the database, so it outlives every process. */
@Injectable()
export class Pauses extends Duty {
  private known = '';
  /** Told which queues are paused, again and again; while the database is down, the last answer holds. */
  onAnswer: (paused: ReadonlySet<string>) => void = () => {};

  constructor(private readonly queues: QueueStore) {
    super({ name: 'Reading paused queues', intervalMs: POLL_INTERVAL_MS });
  }

  /** The queues that are paused now. @throws DatabaseUnavailableError */
  now(): Promise<ReadonlySet<string>> {
    return this.queues.paused();
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const paused = await this.queues.paused();
    if (signal.aborted) return;
    const names = [...paused].sort().join(', ');
    if (names !== this.known) this.logger.log(names ? `Paused queues: ${names}` : 'Paused queues: none');
    this.known = names;
    this.onAnswer(paused);
  }
}
