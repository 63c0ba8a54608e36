import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { settledWithin, untilAvailable } from '#common';
import { Relay } from '#jobs';
import { OverloadedError, RecordsDatabase, StatementBatcher, WorkerLock } from '#records';
import * as sql from './concurrency-statements.js';

/** A job that wants to run under a limit. */
export interface SlotRequest {
  /** The contract. */
  name: string;
  /** Which of its limits. */
  key: string;
  max: number;
}

export interface Slot extends SlotRequest {
  /** The worker's id in the upper 32 bits, a number of its own in the lower. */
  holder: string;
}

/** How long the last slots may take to be released when the worker stops; the end of its session frees them too. */
const CLOSE_TIMEOUT_MS = 2_000;
/** A row that is new to the table may be pruned between the two statements that make it and use it. */
const TRIES = 5;

/**
 * Assigns slots: one row for each limit and key lists the holders. The slots of a dead worker, without a session lock, are
 * free. A job without a slot is put off and listed; releasing a slot makes the longest waiting job due at once.
 */
@Injectable()
export class ConcurrencyLimiter implements BeforeApplicationShutdown {
  private readonly logger = new Logger(ConcurrencyLimiter.name);
  private readonly requests: StatementBatcher<Slot, boolean>;
  private readonly waits: StatementBatcher<sql.Waiter, undefined>;
  private readonly releases: StatementBatcher<Slot, undefined>;
  private readonly releasing = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private taken = 0;

  constructor(
    private readonly database: RecordsDatabase,
    private readonly lock: WorkerLock,
    private readonly relay: Relay,
  ) {
    // One at a time: two statements of one worker would wait for each other's rows.
    const options = { concurrency: 1 };
    this.requests = new StatementBatcher((slots) => this.takeAll(slots), options);
    this.waits = new StatementBatcher((waiters) => this.waitAll(waiters), options);
    this.releases = new StatementBatcher((slots) => this.releaseAll(slots), options);
  }

  /** Asks for a slot. @returns undefined when all are taken. @throws DatabaseUnavailableError, OverloadedError */
  async take(request: SlotRequest): Promise<Slot | undefined> {
    const worker = await this.lock.id();
    this.taken = (this.taken + 1) >>> 0;
    const slot = { ...request, holder: String((BigInt(worker) << 32n) | BigInt(this.taken)) };
    try {
      return (await this.requests.add(slot)) ? slot : undefined;
    } catch (error) {
      // Whether the statement has run is not known.
      this.release(slot);
      throw error;
    }
  }

  /** Releases a slot, as soon as the database answers. */
  release(slot: Slot): void {
    const released = this.releasePersistently(slot).finally(() => this.releasing.delete(released));
    this.releasing.add(released);
  }

  /** Lists a job that was put off for want of a slot, and wakes it again if one became free meanwhile. */
  wait(job: string, { name, key }: SlotRequest): Promise<void> {
    return this.waits.add({ job, name, key });
  }

  /** Drops the rows that say nothing any more. */
  async prune(): Promise<void> {
    await this.database.query(sql.prune);
  }

  /** Makes waiting jobs due for which there are free slots. */
  async wakeForFree(limits: readonly { name: string; key: string }[]): Promise<void> {
    if (limits.length === 0) return;
    const { rows } = await this.database.query<sql.FreeSlots>(sql.freeOf(limits));
    await this.wake(rows);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await settledWithin(Promise.all(this.releasing), CLOSE_TIMEOUT_MS);
  }

  private async takeAll(slots: Slot[]): Promise<boolean[]> {
    const granted = new Map<string, boolean>();
    let open = slots;
    for (let tries = 0; open.length > 0; tries++) {
      if (tries === TRIES) throw new OverloadedError(TRIES);
      const { rows } = await this.database.query<{ holder: string; granted: boolean }>(sql.take(open));
      for (const row of rows) granted.set(row.holder, row.granted);
      open = open.filter(({ holder }) => !granted.has(holder));
      if (open.length > 0) await this.database.query(sql.make(open));
    }
    return slots.map(({ holder }) => granted.get(holder) === true);
  }

  private async waitAll(waiters: sql.Waiter[]): Promise<undefined[]> {
    await this.database.query(sql.wait(waiters));
    await this.wakeForFree(waiters);
    return waiters.map(() => undefined);
  }

  private async releasePersistently(slot: Slot): Promise<void> {
    const { signal } = this.stopping;
    await untilAvailable(() => this.releases.add(slot), signal).catch(({ message }: Error) => {
      if (!signal.aborted) this.logger.error(`A slot of ${slot.name} is not released: ${message}`);
    });
  }

  private async releaseAll(slots: Slot[]): Promise<undefined[]> {
    await this.database.query(sql.release(slots));
    const counts = new Map<string, sql.FreeSlots>();
    for (const { name, key } of slots) {
      const id = `${name}\n${key}`;
      counts.set(id, { name, key, free: (counts.get(id)?.free ?? 0) + 1 });
    }
    // The slots are released already, and the sweep wakes what is not woken here.
    await this.wake([...counts.values()]).catch(() => {});
    return slots.map(() => undefined);
  }

  /** Makes as many waiting jobs due as there are free slots for them, the longest waiting first. */
  private async wake(free: readonly sql.FreeSlots[]): Promise<void> {
    if (free.length === 0) return;
    const { rows } = await this.database.query(sql.wake(free));
    if (rows.length > 0) this.relay.wake();
  }
}
