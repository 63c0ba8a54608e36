import type { PollingLoop } from '#common';

/** What a worker does beside its jobs, again and again from its start to its end. */
export abstract class Duty {
  protected abstract readonly loop: PollingLoop;

  start(): void {
    this.loop.start(0);
  }

  /** @returns when the current run has ended. */
  stop(): Promise<void> {
    return this.loop.stop();
  }
}
