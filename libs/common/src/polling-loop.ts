import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@nestjs/common';
import { TransientError } from './transient-error.js';

export interface PollingOptions {
  /** What the loop does, for its log lines: "Publishing from the outbox". */
  name: string;
  logger: Logger;
  /** Milliseconds between two runs. */
  intervalMs: number;
}

/**
 * Runs a task again and again until it is stopped. A failed run is tried again at the next interval. An outage is logged
 * once when it begins and once when it ends, except for those that `Database` and `BrokerConnection` log.
 */
export class PollingLoop {
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;
  private resting = new AbortController();
  private isWoken = false;
  private failingSince: number | undefined;

  /**
   * @param task one run, with a signal that is aborted when the loop stops. It returns true to run again at once, or
   *   after how many milliseconds instead of the interval.
   */
  constructor(
    private readonly options: PollingOptions,
    private readonly task: (signal: AbortSignal) => Promise<unknown>,
  ) {}

  /** Starts the loop, once. @param firstAfterMs milliseconds before the first run; the interval when absent. */
  start(firstAfterMs = this.options.intervalMs): void {
    this.loop ??= this.run(firstAfterMs);
  }

  /** Runs the task now rather than after the interval. */
  wake(): void {
    this.isWoken = true;
    this.resting.abort();
  }

  /** Stops the loop. @returns when the current run has ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.resting.abort();
    await this.loop;
  }

  private async run(firstAfterMs: number): Promise<void> {
    const { signal } = this.stopping;
    for (let restMs = firstAfterMs; ; ) {
      if (restMs > 0) await this.rest(restMs);
      if (signal.aborted) return;
      this.isWoken = false;
      restMs = await this.once(signal);
    }
  }

  private async rest(milliseconds: number): Promise<void> {
    if (this.isWoken || this.stopping.signal.aborted) return;
    this.resting = new AbortController();
    await pause(milliseconds, undefined, { signal: this.resting.signal }).catch(() => {});
  }

  /** @returns how long to rest. */
  private async once(signal: AbortSignal): Promise<number> {
    try {
      const answer = await this.task(signal);
      this.onSuccess();
      return answer === true ? 0 : typeof answer === 'number' ? answer : this.options.intervalMs;
    } catch (error) {
      if (!signal.aborted) this.onFailure(error as Error);
      return this.options.intervalMs;
    }
  }

  private onSuccess(): void {
    if (this.failingSince === undefined) return;
    const seconds = ((performance.now() - this.failingSince) / 1_000).toFixed(1);
    this.options.logger.log(`${this.options.name} works again after ${seconds} s`);
    this.failingSince = undefined;
  }

  private onFailure(error: Error): void {
    if (this.failingSince !== undefined || error instanceof TransientError) return;
    this.failingSince = performance.now();
    this.options.logger.warn(`${this.options.name} failed and is tried again: ${error.message}`);
  }
}
