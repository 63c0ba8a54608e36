import { Injectable, Logger } from '@nestjs/common';
import { DatabaseUnavailableError, type DueRecord, OutboxRecords, UnprocessableMessages } from '#records';
import { CLAIM_CHECK_BYTES } from '../message.js';
import { Outbox } from '../outbox.js';

/** How often the outbox is polled while it is empty: a scheduled job is late by at most this. */
const IDLE_PAUSE_MS = 500;
/** The same while it is not empty, so that jobs over a limit come back evenly and not in bursts. */
const BUSY_PAUSE_MS = 100;
/** Jobs taken at once; with payloads of 128 KiB that is 32 MiB. */
const BATCH = 250;
/** How long other relays leave a batch alone. A relay that dies with it delays its jobs by this much. */
const LEASE_MS = 15_000;
/** Pause before a message that the broker refused, or that no queue took, is published again. */
const REFUSED_PAUSE_MS = 3_000;
/** How often jobs of dead workers are searched; most are found earlier, by a redelivery. */
const RESCUE_EVERY_MS = 3_000;

/**
 * Publishes what the outbox holds and nobody else has published: jobs accepted while no broker answered
 * or whose producer died, delayed jobs when their time has come, and jobs whose worker is gone. One runs in each
 * worker; `skip locked` keeps them out of each other's way, and no lock is held while a message waits for its
 * confirm. Oldest first, and never more than the publish window takes.
 */
@Injectable()
export class Relay {
  private readonly logger = new Logger(Relay.name);
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private lookedAt = 0;
  private missing: number[] = [];
  private failing = false;
  private pauseMs = IDLE_PAUSE_MS;
  private nudged = false;
  private wake = () => {};

  constructor(
    private readonly records: OutboxRecords,
    private readonly outbox: Outbox,
    private readonly messages: UnprocessableMessages,
  ) {}

  start(): void {
    this.loop = this.run();
  }

  /** Ends after the current batch. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wake();
    await this.loop;
  }

  /** Looks at the outbox now: something in it became due. */
  nudge(): void {
    this.nudged = true;
    this.wake();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const isMore = await this.once().catch((error) => this.onFailure(error));
      if (!isMore && !signal.aborted) await this.rest();
    }
  }

  private async rest(): Promise<void> {
    if (!this.nudged) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.pauseMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.nudged = false;
  }

  /** Publishes one batch. @returns whether to go on at once: there may be more, and the broker takes it. */
  private async once(): Promise<boolean> {
    if (performance.now() - this.lookedAt > RESCUE_EVERY_MS) await this.rescue();
    const room = this.outbox.room;
    if (room === 0) return false;
    const limit = Math.min(BATCH, room);
    const due = await this.records.takeDue(limit, LEASE_MS, CLAIM_CHECK_BYTES);
    const long = due.filter(isLong);
    const short = due.filter((record) => !isLong(record));
    const confirmed = await Promise.all(short.map((record) => this.publish(record)));
    this.failing = false;
    const refused = short.filter((_, index) => !confirmed[index]);
    for (const record of long) if (!(await this.publishLong(record))) refused.push(record);
    if (refused.length > 0) await this.records.postponePublish(refused, REFUSED_PAUSE_MS);
    this.pauseMs = due.length > 0 && refused.length === 0 ? BUSY_PAUSE_MS : IDLE_PAUSE_MS;
    return due.length === limit && refused.length === 0;
  }

  /** A worker is dead when its lock is missing twice: after a restart of the database all take their locks again. */
  private async rescue(): Promise<void> {
    this.lookedAt = performance.now();
    const missing = await this.records.goneWorkers();
    const gone = missing.filter((worker) => this.missing.includes(worker));
    this.missing = missing;
    if (gone.length === 0) return;
    const rescued = await this.records.rescue(gone);
    if (rescued > 0) this.logger.warn({ msg: 'Publishing jobs of dead workers again', count: rescued });
  }

  /** One after the other: a hundred of them are more than a process should hold. */
  private async publishLong(record: DueRecord): Promise<boolean> {
    const body = await this.messages.bodyOf(record.id);
    return this.publish({ ...record, received: record.received && { ...record.received, body } });
  }

  private publish({ state, error, ...record }: DueRecord): Promise<boolean> {
    if (state === 'dead') return this.outbox.publish(record, { deadReason: error ?? 'unknown' });
    // A running job that was put off had crashed: the same attempt begins again.
    return this.outbox.publish({
      ...record,
      attempt: state === 'running' ? record.attempt : record.attempt + 1,
    });
  }

  private onFailure(error: Error): false {
    if (!this.failing || !(error instanceof DatabaseUnavailableError)) this.logger.warn(error.message);
    this.failing = true;
    return false;
  }
}

/** Whether a received message goes out whose body was too long to be taken with the others. */
const isLong = ({ state, received }: DueRecord) => state !== 'dead' && received?.body === null;
