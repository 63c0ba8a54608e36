import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@nestjs/common';
import { TransientError } from './transient-error.js';

export interface PollingOptions {
  /** What the loop does, for its log lines: "Publishing from the outbox". */
  name: string;
  logger: Logger;
  /** Milliseconds between two runs; a function is asked after each run. */
  intervalMs: number | (() => number);
  /** After a run that took long, rest this many times as long as it took. 0 when absent. */
  restFactor?: number;
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

  /** @param task one run, with a signal that is aborted when the loop stops. It returns true to run again at once. */
  constructor(
    private readonly options: PollingOptions,
    private readonly task: (signal: AbortSignal) => Promise<unknown>,
  ) {}

  /** Starts the loop, once. @param firstAfterMs milliseconds before the first run; the interval when absent. */
  start(firstAfterMs = this.intervalMs): void {
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

  private get intervalMs(): number {
    const { intervalMs } = this.options;
    return typeof intervalMs === 'number' ? intervalMs : intervalMs();
  }

  private async run(firstAfterMs: number): Promise<void> {
    const { signal } = this.stopping;
    for (let restMs = firstAfterMs; ; ) {
      if (restMs > 0) await this.rest(restMs);
      if (signal.aborted) return;
      this.isWoken = false;
      const startedAt = performance.now();
      const isMore = await this.once(signal);
      const tookMs = performance.now() - startedAt;
      restMs = isMore ? 0 : Math.max(this.intervalMs, (this.options.restFactor ?? 0) * tookMs);
    }
  }

  private async rest(milliseconds: number): Promise<void> {
    if (this.isWoken || this.stopping.signal.aborted) return;
    this.resting = new AbortController();
    await pause(milliseconds, undefined, { signal: this.resting.signal }).catch(() => {});
  }

  private async once(signal: AbortSignal): Promise<boolean> {
    try {
      const isMore = (await this.task(signal)) === true;
      this.onSuccess();
      return isMore;
    } catch (error) {
      if (!signal.aborted) this.onFailure(error as Error);
      return false;
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
