import { Injectable, Logger } from '@nestjs/common';
import { PollingLoop } from '#common';
import { QueueStore } from '#records';
import { Duty } from './duty.js';

/** How often a worker asks which queues are paused; it is to know within a second. */
const POLL_INTERVAL_MS = 500;

/** Tells a worker which queues are paused: a pause is a row in the database, so it outlives every process. */
@Injectable()
export class Pauses extends Duty {
  private readonly logger = new Logger(Pauses.name);
  private onAnswer: (paused: ReadonlySet<string>) => void = () => {};
  private known = '';
  // While the database is down, the last answer holds.
  protected readonly loop = new PollingLoop(
    { name: 'Reading paused queues', logger: this.logger, intervalMs: POLL_INTERVAL_MS },
    (signal) => this.ask(signal),
  );

  constructor(private readonly queues: QueueStore) {
    super();
  }

  /** The queues that are paused now. @throws DatabaseUnavailableError */
  now(): Promise<ReadonlySet<string>> {
    return this.queues.paused();
  }

  /** @param onAnswer told which queues are paused, again and again. */
  override start(onAnswer = this.onAnswer): void {
    this.onAnswer = onAnswer;
    super.start();
  }

  private async ask(signal: AbortSignal): Promise<void> {
    const paused = await this.queues.paused();
    if (signal.aborted) return;
    const names = [...paused].sort().join(', ');
    if (names !== this.known) this.logger.log(names ? `Paused queues: ${names}` : 'Paused queues: none');
    this.known = names;
    this.onAnswer(paused);
  }
}
