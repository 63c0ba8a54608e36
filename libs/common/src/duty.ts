import { Logger } from '@nestjs/common';
import { PollingLoop, type PollingOptions } from './polling-loop.js';

/** What a process does again and again from its start to its end: {@link run}, on a {@link PollingLoop}. */
export abstract class Duty {
  protected readonly logger = new Logger(this.constructor.name);
  private readonly loop: PollingLoop;

  constructor(options: Omit<PollingOptions, 'logger'>) {
    this.loop = new PollingLoop({ ...options, logger: this.logger }, (signal) => this.run(signal));
  }

  /** @returns true to run again at once, or after how many milliseconds instead of the interval. */
  protected abstract run(signal: AbortSignal): Promise<unknown>;

  /** @param firstAfterMs milliseconds before the first run. */
  start(firstAfterMs = 0): void {
    this.loop.start(firstAfterMs);
  }

  /** Runs now rather than after the interval. */
  wake(): void {
    this.loop.wake();
  }

  /** @returns when the current run has ended. */
  stop(): Promise<void> {
    return this.loop.stop();
  }
}
