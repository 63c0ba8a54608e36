import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable } from '@nestjs/common';
import { Duty } from '#common';
import { WorkerStore } from '#records';
import { Contracts } from '../contracts.js';

const POLL_INTERVAL_MS = 5_000;
/** Sampling interval of the event-loop delay. The measured delay includes it, so it is subtracted. */
const RESOLUTION_MS = 20;

/** Reports what this worker knows and serves, its memory and its event-loop lag. */
@Injectable()
export class WorkerStatus extends Duty {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private queues: readonly string[] = [];

  constructor(
    private readonly workers: WorkerStore,
    private readonly contracts: Contracts,
  ) {
    super({ name: 'Reporting the status of this worker', intervalMs: POLL_INTERVAL_MS });
  }

  /** The queues that this worker takes jobs of. */
  set serving(queues: readonly string[]) {
    if (queues.length === this.queues.length) return;
    this.queues = queues;
    this.wake();
  }

  override start(): void {
    this.delay.enable();
    super.start();
  }

  override async stop(): Promise<void> {
    await super.stop();
    this.delay.disable();
  }

  protected async run(): Promise<void> {
    const eventLoopLagMs = Math.max(0, this.delay.max / 1e6 - RESOLUTION_MS);
    this.delay.reset();
    const rssBytes = process.memoryUsage.rss();
    const contracts = this.contracts.known;
    await this.workers.report({ queues: this.queues, contracts, eventLoopLagMs, rssBytes });
  }
}
