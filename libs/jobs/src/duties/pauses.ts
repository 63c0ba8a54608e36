import { Injectable } from '@nestjs/common';
import { Duty } from '#common';
import { type Orders, WorkerStore } from '#records';

/** How often a worker asks what it is to do; it is to know within a second. */
const POLL_INTERVAL_MS = 500;

/** Tells a worker which queues are paused, and whether it is to be quiet or to stop. A pause outlives every process. */
@Injectable()
export class Pauses extends Duty {
  private known = '';
  /** Told again and again; while the database is down, the last answer holds. */
  onAnswer: (orders: Orders) => void = () => {};

  constructor(private readonly workers: WorkerStore) {
    super({ name: 'Reading paused queues', intervalMs: POLL_INTERVAL_MS });
  }

  /** @throws DatabaseUnavailableError */
  now(): Promise<Orders> {
    return this.workers.orders();
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const orders = await this.now();
    if (signal.aborted) return;
    const names = [...orders.paused].sort().join(', ');
    if (names !== this.known) this.logger.log(names ? `Paused queues: ${names}` : 'Paused queues: none');
    this.known = names;
    this.onAnswer(orders);
  }
}
