import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable, Logger } from '@nestjs/common';
import { PollingLoop } from '#common';
import { WorkerStore } from '#records';
import { Duty } from './duty.js';

const POLL_INTERVAL_MS = 5_000;
/** Sampling interval of the event-loop delay. The measured delay includes it, so it is subtracted. */
const RESOLUTION_MS = 20;

/** Reports the queues, memory and event-loop lag of this worker, for `GET /workers` and the dashboard. */
@Injectable()
export class WorkerStatus extends Duty {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  protected readonly loop = new PollingLoop(
    {
      name: 'Reporting the status of this worker',
      logger: new Logger(WorkerStatus.name),
      intervalMs: POLL_INTERVAL_MS,
    },
    () => this.report(),
  );
  private queues: readonly string[] = [];

  constructor(private readonly workers: WorkerStore) {
    super();
  }

  override start(queues: readonly string[] = []): void {
    this.queues = queues;
    this.delay.enable();
    super.start();
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.delay.disable();
  }

  private async report(): Promise<void> {
    const eventLoopLagMs = Math.max(0, this.delay.max / 1e6 - RESOLUTION_MS);
    this.delay.reset();
    const rssBytes = process.memoryUsage.rss();
    await this.workers.report({ queues: this.queues, eventLoopLagMs, rssBytes });
  }
}
