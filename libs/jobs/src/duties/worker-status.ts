import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable } from '@nestjs/common';
import { WorkerRecords } from '#records';

const REPORT_EVERY_MS = 5_000;
/** Sampling interval of the event-loop delay. The measured delay includes it, so it is subtracted. */
const RESOLUTION_MS = 20;

/** Reports the queues, memory and event-loop lag of this worker, for `GET /workers` and the dashboard. */
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
