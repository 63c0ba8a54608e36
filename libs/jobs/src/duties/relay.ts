import { Injectable, Module, Optional } from '@nestjs/common';
import { Duty } from '#common';
import { type DueRecord, OutboxStore, UnprocessableMessages } from '#records';
import { CLAIM_CHECK_BYTES } from '../message.js';
import { Outbox } from '../outbox.js';
import { PollIntervals } from './poll-intervals.js';

/** How often the outbox is polled while it is empty: a scheduled job is late by at most this. */
const IDLE_PAUSE_MS = 500;
/** The same while it is not empty, so that jobs over a limit come back evenly and not in bursts. */
const BUSY_PAUSE_MS = 100;
/** Jobs taken at once; with payloads of 128 KiB that is 32 MiB. */
const BATCH = 250;
/**
 * How far most looks go back. Few jobs are due for longer: those of a transaction that took its time to commit, and those
 * of an outage. A look at all finds them.
 */
const LOOK_BACK_MS = 2_000;
/** How often all is looked at: after such a time, or after so many times as long as the last such look took. */
const EVER_MS = 1e12;
const LOOK_AT_ALL_MS = 5_000;
const REST_FACTOR = 50;
/** How long other relays leave a batch alone. A relay that dies with it delays its jobs by this much. */
const LEASE_MS = 15_000;
/** Pause before a message that the broker refused, or that no queue took, is published again. */
const REFUSED_PAUSE_MS = 3_000;

/**
 * Publishes what the outbox holds and nobody else has published, oldest first, never more than the publish window takes.
 * `skip locked` keeps relays out of each other's way; no lock is held while a message waits for its confirm.
 */
@Injectable()
export class Relay extends Duty {
  /** When all is looked at again. */
  private lookAtAllAt = 0;

  constructor(
    private readonly store: OutboxStore,
    private readonly outbox: Outbox,
    private readonly messages: UnprocessableMessages,
    @Optional() intervals?: PollIntervals,
  ) {
    super({ name: 'Publishing from the outbox', intervalMs: intervals?.relay ?? IDLE_PAUSE_MS });
  }

  /** Publishes one batch, and goes on at once if there may be more and the broker takes it. */
  protected async run(): Promise<boolean | number> {
    const { room } = this.outbox;
    if (room === 0) return false;
    const limit = Math.min(BATCH, room);
    const due = await this.takeDue(limit);
    const long = due.filter(isLong);
    const short = due.filter((record) => !isLong(record));
    const confirmed = await Promise.all(short.map((record) => this.publish(record)));
    const refused = short.filter((_, index) => !confirmed[index]);
    for (const record of long) if (!(await this.publishLong(record))) refused.push(record);
    if (refused.length > 0) await this.store.postponePublish(refused, REFUSED_PAUSE_MS);
    if (due.length === 0 || refused.length > 0) return false;
    return due.length === limit || BUSY_PAUSE_MS;
  }

  private async takeDue(limit: number): Promise<DueRecord[]> {
    const startedAt = performance.now();
    const isAll = startedAt >= this.lookAtAllAt;
    const lookBackMs = isAll ? EVER_MS : LOOK_BACK_MS;
    const due = await this.store.takeDue(limit, lookBackMs, LEASE_MS, CLAIM_CHECK_BYTES);
    const endedAt = performance.now();
    if (isAll && due.length < limit)
      this.lookAtAllAt = endedAt + Math.max(LOOK_AT_ALL_MS, REST_FACTOR * (endedAt - startedAt));
    return due;
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
}

/** The relay alone, for a tool that helps the workers to publish. */
@Module({ providers: [Relay], exports: [Relay] })
export class RelayModule {}

/** Whether a received message goes out whose body was too long to be taken with the others. */
const isLong = ({ state, received }: DueRecord) => state !== 'dead' && received?.body === null;
