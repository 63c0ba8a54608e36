import { setTimeout as pause } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { settledWithin } from '#common';
import type { InFlight } from './in-flight.js';
import { STOP_GRACE_MS } from './running-attempt.js';
import type { RunningAttempts } from './running-attempts.js';

/** How long jobs in flight may go on in a worker that an uncaught error ends. Its state is unknown, so the grace time does not count. */
const CRASH_GRACE_MS = 25_000;

/** How a stopping worker finishes or releases its jobs in flight. */
export class Drain {
  private readonly logger = new Logger('Drain');
  private readonly stopping = new AbortController();
  private readonly hurrying = new AbortController();
  private hurry: NodeJS.Timeout | undefined;

  constructor(
    private readonly inFlight: InFlight,
    private readonly running: RunningAttempts,
  ) {}

  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** The worker ends by an error: the grace time ends in 25 s, however long it is. */
  hurryUp(): void {
    this.hurry ??= setTimeout(() => this.hurrying.abort(), CRASH_GRACE_MS).unref();
    this.inFlight.recount();
  }

  /**
   * Lets the deliveries in flight finish, for as long as `graceMs`; then aborts their signals and releases what has not
   * finished. No more deliveries may come.
   *
   * @param onGraceOver called when the grace time is over.
   */
  async drain(graceMs: number, onGraceOver: () => void): Promise<void> {
    const { signal } = this.hurrying;
    const graceOver = pause(graceMs, undefined, { ref: false, signal }).catch(() => {});
    // A culprit is not waited for, but runs until the end, so that no other worker begins with it.
    await Promise.race([this.inFlight.left(() => this.running.culprits), graceOver]);
    if (this.inFlight.size > 0)
      this.logger.warn({ msg: 'Releasing jobs that did not end in time', count: this.inFlight.size });
    this.stopping.abort();
    onGraceOver();
    this.running.release();
    // For handlers that obey their signal, and for the statements that release the jobs.
    await settledWithin(
      this.inFlight.left(() => 0),
      2 * STOP_GRACE_MS,
    );
  }
}
