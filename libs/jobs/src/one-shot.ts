import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Duty, withResolvers, withTimeout } from '#common';
import { Broker } from '#rabbitmq';
import { QueueStore } from '#records';
import { JobServer } from './job-server.js';
import { Executor } from './lifecycle/executor.js';

/** When a worker ends that works only for a while. */
export interface OneShotLimits {
  /** Attempts that it runs at most; what lies in the queues beyond them is left as it is. */
  maxJobs?: number;
  maxTimeMs?: number;
}

const POLL_INTERVAL_MS = 250;
/** A message on its way from the broker to this worker is neither ready there nor in flight here, so one look does not tell. */
const EMPTY_POLLS = 2;
/** A job that is ready so soon is worth waiting for. As long as a relay's lease, so that what a relay publishes counts. */
const SOON_MS = 15_000;

/**
 * Tells when a one-shot worker is done: the queues that it serves have no ready message, nothing is in flight here, and no
 * record says that a job is on its way or will be soon. Paused queues and what other workers run do not count.
 */
@Injectable()
export class OneShot extends Duty implements OnModuleDestroy {
  private readonly reason = withResolvers<string | undefined>();
  private maxJobs = Number.POSITIVE_INFINITY;
  private emptyPolls = 0;

  constructor(
    private readonly server: JobServer,
    private readonly executor: Executor,
    private readonly broker: Broker,
    private readonly queues: QueueStore,
  ) {
    super({ name: 'Looking whether the queues are empty', intervalMs: POLL_INTERVAL_MS });
  }

  /**
   * Waits until the worker should stop. Call it before the worker starts.
   *
   * @returns why it should; undefined when it is stopped for another reason meanwhile.
   */
  async finished({ maxJobs, maxTimeMs }: OneShotLimits): Promise<string | undefined> {
    if (maxJobs !== undefined) this.server.limitAttempts(maxJobs);
    this.maxJobs = maxJobs ?? this.maxJobs;
    this.start(POLL_INTERVAL_MS);
    const { promise } = this.reason;
    return maxTimeMs === undefined ? promise : withTimeout(promise, maxTimeMs, () => '--max-time reached');
  }

  onModuleDestroy(): void {
    this.reason.resolve(undefined);
    void this.stop();
  }

  protected async run(): Promise<void> {
    const { ended, size } = this.executor;
    if (ended >= this.maxJobs && size === 0) this.reason.resolve('--max-jobs reached');
    const { emptyPolls } = this;
    // A queue that cannot be checked, because the broker or the database is down, may not be empty.
    this.emptyPolls = 0;
    if (await this.isEmpty()) this.emptyPolls = emptyPolls + 1;
    if (this.emptyPolls === EMPTY_POLLS) this.reason.resolve('The queues are empty');
  }

  private async isEmpty(): Promise<boolean> {
    const { serving } = this.server;
    if (!serving || this.executor.size > 0) return false;
    // A blocked broker does not read the request.
    if (this.broker.publishing.blocked) return false;
    const ready = await Promise.all([...serving.values()].flat().map((name) => this.broker.countReady(name)));
    if (ready.some((count) => count > 0)) return false;
    const isExpected = await this.queues.expect([...serving.keys()], SOON_MS);
    return !isExpected && this.executor.size === 0;
  }
}
