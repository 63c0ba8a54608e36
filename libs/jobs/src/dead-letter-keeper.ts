import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { validate as isUuid } from 'uuid';
import { Broker, deadLetterQueue, EXCHANGE, isOutage, type OutgoingMessage } from '#rabbitmq';
import {
  DatabaseUnavailableError,
  type DeadCount,
  DeadRecords,
  type ForeignLetter,
  ForeignLetters,
  OutboxRecords,
  Presence,
  type Wish,
} from '#records';
import { Contracts } from './contracts.js';
import { describeLetter, replayLetter } from './foreign-letter.js';
import { type DeadLetter, readDeadLetter, returnDeadLetter } from './message.js';
import { describeError } from './outcome.js';

/** How often the depths of the dead-letter queues are held against the records. */
const LOOK_EVERY_MS = 2_000;
/** Letters that are looked up and published again at once. */
const BATCH = 250;
/** After going through a queue, it is left alone for this many times as long as that took. */
const REST_FACTOR = 5;
/** How long a job whose message no queue took waits until it is published again. */
const UNROUTED_PAUSE_MS = 15_000;
/** This duty's number among those that one worker does for all. */
const DUTY = 1;

/**
 * Keeps the dead-letter queues what the records say they are. A replay or a discard changes records only; a crash can
 * leave a letter twice; a broker that lost its disk has none. So one worker looks at the depth of each queue, and
 * where that has not fitted twice in a row, it goes through the queue once: letters of jobs that are not dead any
 * more and second copies are dropped, the others stay, and what is missing is published again.
 *
 * Letters that no record stands for (what could not be understood) stay too, are counted and noted for people to look
 * at. What those wish of them is done in the same way: one passage through the queue.
 */
@Injectable()
export class DeadLetterKeeper {
  private readonly logger = new Logger(DeadLetterKeeper.name);
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  /** Queues whose depth did not fit when they were looked at last. */
  private readonly suspects = new Set<string>();
  /** When a queue may be gone through again, by this process's monotonic clock. */
  private readonly restsUntil = new Map<string, number>();
  private failing = false;
  /** Queues that could not be looked at, and why. */
  private readonly broken = new Map<string, string>();

  constructor(
    private readonly contracts: Contracts,
    private readonly broker: Broker,
    private readonly dead: DeadRecords,
    private readonly foreign: ForeignLetters,
    private readonly outboxRecords: OutboxRecords,
    private readonly presence: Presence,
  ) {}

  start(): void {
    this.loop = this.run();
  }

  /** Ends after the batch at hand. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      try {
        if (this.broker.publishing.isUp && (await this.presence.leads(DUTY))) await this.look();
        this.failing = false;
      } catch (error) {
        // An outage is told of by those whose work it stops.
        if (!this.failing && !(error instanceof DatabaseUnavailableError))
          this.logger.warn(`The dead-letter queues could not be looked at: ${(error as Error).message}`);
        this.failing = true;
      }
    }
  }

  private async look(): Promise<void> {
    const [counts, foreign, wished] = await Promise.all([
      this.dead.counts(),
      this.dead.foreignLetters(),
      this.foreign.wishedQueues(),
    ]);
    const unroutable = EXCHANGE.unroutable;
    await this.apart(unroutable, () =>
      this.lookAtUnroutable(foreign.get(unroutable) ?? 0, wished.has(unroutable)),
    );
    for (const queue of this.contracts.queues.keys()) {
      const count = counts.find((count) => count.queue === queue) ?? { dead: 0, owed: 0 };
      await this.apart(queue, () => this.lookAt(queue, count, foreign.get(queue) ?? 0, wished.has(queue)));
    }
  }

  private async lookAt(
    queue: string,
    { dead, owed }: Pick<DeadCount, 'dead' | 'owed'>,
    foreign: number,
    isWished: boolean,
  ): Promise<void> {
    if (!isWished && (this.restsUntil.get(queue) ?? 0) > performance.now()) return;
    const most = dead + foreign;
    const depth = await this.broker.countReady(deadLetterQueue(queue));
    const fits = depth >= most - owed && depth <= most;
    if (isWished || (!fits && this.suspects.has(queue))) await this.goThrough(queue, depth);
    else if (fits) this.suspects.delete(queue);
    else this.suspects.add(queue);
  }

  /** A queue that cannot be looked at must not keep the others from it. */
  private async apart(queue: string, look: () => Promise<void>): Promise<void> {
    try {
      await look();
      this.broken.delete(queue);
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof DatabaseUnavailableError || isOutage(error) || this.stopping.signal.aborted)
        throw error;
      if (this.broken.get(queue) !== message)
        this.logger.warn(`The dead letters of ${queue} could not be looked at: ${message}`);
      this.broken.set(queue, message);
    }
  }

  /**
   * What no queue takes is kept by the alternate exchange, and so it is confirmed and never returned. Our own jobs are
   * owed again, and get through once the bindings are there; what no record stands for stays.
   */
  private async lookAtUnroutable(known: number, isWished: boolean): Promise<void> {
    const queue = EXCHANGE.unroutable;
    const depth = await this.broker.countReady(queue);
    if (depth === known && !isWished) return;
    const strangers = new Strangers(queue, this.foreign, await this.dead.now());
    let owed = 0;
    await this.broker.rotate(queue, { count: depth, batch: BATCH }, async (messages) => {
      this.stopping.signal.throwIfAborted();
      const letters = messages.map((message) => readDeadLetter(message));
      const ids = letters.map(({ id }) => id).filter(isUuid);
      const records = new Set((await this.dead.statesOf(ids)).map(({ id }) => id));
      await this.outboxRecords.oweUnrouted(ids, UNROUTED_PAUSE_MS);
      const { stay, replay } = await strangers.sort(letters.filter(({ id }) => !records.has(id)));
      owed += letters.filter(({ id }) => records.has(id)).length;
      await this.publish([
        // A fanout: the key is free to stay what its sender chose.
        ...stay.map((letter) => ({
          ...returnDeadLetter(letter, queue),
          exchange: queue,
          routingKey: letter.message.fields.routingKey,
        })),
        ...replay.map((letter) => replayLetter(letter, queue)),
      ]);
    });
    await strangers.forgetOthers();
    await this.dead.countForeignLetters(queue, strangers.count);
    if (owed + strangers.count === 0) return;
    this.logger.error(
      `No queue took ${owed} messages of jobs, which are published again every ${UNROUTED_PAUSE_MS / 1_000} s, and ${strangers.count} messages that no record stands for, which stay in ${queue}: run \`npm run migrate\``,
    );
  }

  private async goThrough(queue: string, depth: number): Promise<void> {
    const startedAt = performance.now();
    const before = await this.dead.now();
    const strangers = new Strangers(queue, this.foreign, before);
    const kept = new Set<string>();
    let dropped = 0;
    await this.broker.rotate(deadLetterQueue(queue), { count: depth, batch: BATCH }, async (messages) => {
      this.stopping.signal.throwIfAborted();
      const letters = messages.map((message) => readDeadLetter(message));
      const records = await this.dead.statesOf(letters.map(({ id }) => id).filter(isUuid));
      const stateOf = new Map(
        records.map(({ id, state, queue: home }) => [id, home === queue ? state : undefined]),
      );
      const unclaimed: DeadLetter[] = [];
      const isOfRecord = ({ id, isStranger }: DeadLetter) => !isStranger && stateOf.has(id);
      const wanted = letters.filter((letter) => {
        if (!isOfRecord(letter)) return false;
        const state = stateOf.get(letter.id);
        const isUnclaimed = letter.byBroker && (state === 'queued' || state === 'retrying');
        if (isUnclaimed) unclaimed.push(letter);
        const isWanted = (state === 'dead' || isUnclaimed) && !kept.has(letter.id);
        if (isWanted) kept.add(letter.id);
        else dropped++;
        return isWanted;
      });
      await this.bury(unclaimed);
      const { stay, replay } = await strangers.sort(letters.filter((letter) => !isOfRecord(letter)));
      await this.publish([
        ...[...wanted, ...stay].map((letter) => returnDeadLetter(letter, queue)),
        ...replay.map((letter) => replayLetter(letter, queue)),
      ]);
    });
    await strangers.forgetOthers();
    await this.dead.countForeignLetters(queue, strangers.count);

    let missing = 0;
    for await (const ids of this.dead.settledBefore(queue, before)) {
      const gone = ids.filter((id) => !kept.has(id));
      missing += gone.length;
      if (gone.length > 0) await this.dead.owe(gone);
    }
    this.logger.log(
      `Dead letters of ${queue}: ${kept.size} fit their records, ${dropped} did not and were dropped, ${missing} are missing and published again, ${strangers.count} have no record, ${strangers.fulfilled} more without one were replayed or discarded as was wished`,
    );
    this.suspects.delete(queue);
    const now = performance.now();
    this.restsUntil.set(queue, now + REST_FACTOR * (now - startedAt));
  }

  private async publish(messages: OutgoingMessage[]): Promise<void> {
    await Promise.all(messages.map((message) => this.broker.publisher.publish(message)));
  }

  /** The broker gave up on messages that nobody claimed: their jobs are dead, and their records must say so. */
  private async bury(letters: DeadLetter[]): Promise<void> {
    for (const reason of new Set(letters.map(({ reason }) => reason))) {
      const error = JSON.stringify(describeError(new Error(`The broker gave this job up: ${reason}`)));
      await this.dead.bury(
        letters.filter((letter) => letter.reason === reason).map(({ id }) => id),
        error,
      );
    }
  }
}

/** The letters that no record stands for, in one passage through a queue: noted, or what somebody wishes is done. */
class Strangers {
  /** Those that stay; and those that went as somebody wished. */
  count = 0;
  fulfilled = 0;
  private wishes: Map<string, Wish> | undefined;

  /** @param since when the passage began. */
  constructor(
    private readonly queue: string,
    private readonly catalogue: ForeignLetters,
    private readonly since: Date,
  ) {}

  /** Tells letters that stay from those that are to be replayed; the others are to be thrown away. */
  async sort(letters: readonly DeadLetter[]): Promise<{ stay: DeadLetter[]; replay: DeadLetter[] }> {
    this.wishes ??= await this.catalogue.wishesOf(this.queue);
    const stay: DeadLetter[] = [];
    const replay: DeadLetter[] = [];
    const notes: ForeignLetter[] = [];
    for (const letter of letters) {
      const note = describeLetter(letter, this.queue);
      const wish = this.wishes.get(note.id);
      if (wish) this.fulfilled++;
      if (wish === 'replay') replay.push(letter);
      if (wish) continue;
      stay.push(letter);
      notes.push(note);
    }
    this.count += stay.length;
    if (notes.length > 0) await this.catalogue.note(notes, this.since);
    return { stay, replay };
  }

  /** At the end of the passage: what was not met, or went as wished, lies there no more. */
  forgetOthers(): Promise<void> {
    return this.catalogue.forget(this.queue, this.since);
  }
}
