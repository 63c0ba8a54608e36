import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable } from '@nestjs/common';
import { WorkerRecords } from '#records';

const REPORT_EVERY_MS = 5_000;
/** How often the event loop is looked at. What is measured is the time between two looks, so it is taken off again. */
const RESOLUTION_MS = 20;

/** Reports what this worker serves and how it fares, for people who look at the workers. */
@Injectable()
export class WorkerStatus {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly workers: WorkerRecords) {}

  /** @param queues those that the worker serves. */
  start(queues: readonly string[]): void {
    this.delay.enable();
    const report = () => {
      const eventLoopLagMs = Math.max(0, this.delay.max / 1e6 - RESOLUTION_MS);
      this.delay.reset();
      // `RecordsDatabase` logs outages.
      void this.workers
        .report({ queues, eventLoopLagMs, rssBytes: process.memoryUsage.rss() })
        .catch(() => {});
    };
    report();
    this.timer = setInterval(report, REPORT_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    this.delay.disable();
  }
}
