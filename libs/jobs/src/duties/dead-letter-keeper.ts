import { Injectable, Optional } from '@nestjs/common';
import { validate as isUuid } from 'uuid';
import { Duty, TransientError } from '#common';
import { Broker, deadLetterQueue, EXCHANGE } from '#rabbitmq';
import { type DeadCount, DeadJobStore, type DeadLetterState, OutboxStore, WorkerLock } from '#records';
import { AfterDeath } from '../after-death.js';
import { Contracts } from '../contracts.js';
import { type DeadLetter, readDeadLetter, returnDeadLetter } from '../dead-letter-message.js';
import { DeadLettering } from '../dead-lettering.js';
import { describeError } from '../lifecycle/outcome.js';
import { Queues } from '../queues.js';
import { PollIntervals } from './poll-intervals.js';

const POLL_INTERVAL_MS = 2_000;
/** Messages that are looked up and published again at once. Other clients may publish messages of 16 MiB. */
const BATCH = 16;
/** After going through a queue the worker leaves it alone for this many times as long as that took. */
const REST_FACTOR = 5;
/** How long a job whose message no queue took waits until it is published again. */
const UNROUTED_PAUSE_MS = 15_000;

type Fate = 'stays' | 'dropped' | 'jobIsDead' | 'becomesDeadLetter';

/**
 * Makes each dead-letter queue hold one message for each dead record: a replay or a discard changes records only, a crash
 * can publish twice, a broker can lose its disk. One worker compares each depth with the records; after two mismatches it
 * goes through the queue once. What the broker or a client put there is recorded and dropped. What lies in a priority that
 * was given up comes back to its queue.
 */
@Injectable()
export class DeadLetterKeeper extends Duty {
  /** Queues whose depth differed from the records at the last check. */
  private readonly mismatched = new Set<string>();
  /** When a queue may be gone through again, by this process's monotonic clock. */
  private readonly restsUntil = new Map<string, number>();
  /** Queues that could not be checked, with the error. */
  private readonly broken = new Map<string, string>();

  constructor(
    private readonly contracts: Contracts,
    private readonly broker: Broker,
    private readonly dead: DeadJobStore,
    private readonly deadLetters: DeadLettering,
    private readonly outboxStore: OutboxStore,
    private readonly queues: Queues,
    private readonly lock: WorkerLock,
    private readonly afterDeath: AfterDeath,
    @Optional() intervals?: PollIntervals,
  ) {
    const intervalMs = intervals?.deadLetterKeeper ?? POLL_INTERVAL_MS;
    super({ name: 'Checking the dead-letter queues', intervalMs });
  }

  protected async run(signal: AbortSignal): Promise<void> {
    if (!this.broker.publishing.isUp || !(await this.lock.isLeader('deadLetters'))) return;
    const unroutable = EXCHANGE.unroutable;
    await this.apart(unroutable, () => this.readUnroutable(signal));
    const [counts, left] = await Promise.all([this.dead.counts(), this.queues.leftovers()]);
    await this.apart('priorities', () => this.queues.bringHome({ onlyPriorities: true }, signal));
    const ofLeftovers = [...left].flatMap(([queue, parts]) =>
      parts.includes(deadLetterQueue(queue)) ? queue : [],
    );
    for (const queue of [unroutable, ...this.contracts.queues.keys(), ...ofLeftovers]) {
      const count = counts.find((count) => count.queue === queue) ?? { dead: 0, pending: 0 };
      await this.apart(queue, () => this.lookAt(queue, count, signal));
    }
  }

  private async lookAt(
    queue: string,
    { dead, pending }: Pick<DeadCount, 'dead' | 'pending'>,
    signal: AbortSignal,
  ): Promise<void> {
    if ((this.restsUntil.get(queue) ?? 0) > performance.now()) return;
    const depth = await this.broker.countReady(deadLetterQueue(queue));
    const fits = depth >= dead - pending && depth <= dead;
    if (!fits && this.mismatched.has(queue)) await this.goThrough(queue, depth, signal);
    else if (fits) this.mismatched.delete(queue);
    else this.mismatched.add(queue);
  }

  /** An error of one queue must not keep the others from being checked. */
  private async apart(queue: string, look: () => Promise<void>): Promise<void> {
    try {
      await look();
      this.broken.delete(queue);
    } catch (error) {
      const { message } = error as Error;
      // A stop is not a failure, and an outage affects all queues.
      if (error instanceof TransientError || (error as Error).name === 'AbortError') throw error;
      if (this.broken.get(queue) !== message)
        this.logger.warn({ msg: `Cannot check the dead-letter queue of ${queue}: ${message}`, queue });
      this.broken.set(queue, message);
    }
  }

  /** What no queue takes was confirmed by the alternate exchange. Our own jobs are published again; all else is a dead letter. */
  private async readUnroutable(signal: AbortSignal): Promise<void> {
    const queue = EXCHANGE.unroutable;
    const depth = await this.broker.countReady(queue);
    if (depth === 0) return;
    let ofJobs = 0;
    await this.broker.rotate(queue, { count: depth, batch: BATCH }, async (messages) => {
      signal.throwIfAborted();
      const letters = messages.map(readDeadLetter);
      const records = await this.recordsOf(letters);
      const isOfJob = (letter: DeadLetter) => {
        const record = records.get(letter.id);
        return record?.name === letter.name && record.queue !== queue;
      };
      const ids = letters.filter(isOfJob).map(({ id }) => id);
      ofJobs += ids.length;
      await this.outboxStore.republishUnrouted(ids, UNROUTED_PAUSE_MS, this.contracts.homes);
      const others = letters.filter((letter) => !isOfJob(letter));
      await this.record(queue, others, ({ message }) => `no queue takes "${message.fields.routingKey}"`);
    });
    const msg = 'Messages that no queue takes. Run `npm run migrate` to declare missing bindings.';
    this.logger.error({ msg, publishedAgain: ofJobs, deadLettered: depth - ofJobs });
  }

  private async goThrough(queue: string, depth: number, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    const before = await this.dead.now();
    const kept = new Set<string>();
    const counts: Record<Fate, number> = { stays: 0, dropped: 0, jobIsDead: 0, becomesDeadLetter: 0 };
    await this.broker.rotate(deadLetterQueue(queue), { count: depth, batch: BATCH }, async (messages) => {
      signal.throwIfAborted();
      await this.sortOut(queue, messages.map(readDeadLetter), kept, counts);
    });

    let missing = 0;
    for await (const ids of this.dead.settledBefore(queue, before)) {
      const gone = ids.filter((id) => !kept.has(id));
      missing += gone.length;
      if (gone.length > 0) await this.dead.republish(gone);
    }
    const { stays, dropped, jobIsDead, becomesDeadLetter } = counts;
    const recorded = jobIsDead + becomesDeadLetter;
    const msg = 'Dead-letter queue matches its records';
    this.logger.log({ msg, queue, kept: stays, dropped, missing, recorded });
    this.mismatched.delete(queue);
    const now = performance.now();
    this.restsUntil.set(queue, now + REST_FACTOR * (now - startedAt));
  }

  /** Does with each message what its record says. @param kept the jobs whose message stays. @param counts of all so far. */
  private async sortOut(
    queue: string,
    letters: readonly DeadLetter[],
    kept: Set<string>,
    counts: Record<Fate, number>,
  ): Promise<void> {
    const records = await this.recordsOf(letters);
    const fates = letters.map((letter) => {
      const fate = fateOf(letter, queue, records.get(letter.id), kept);
      if (fate === 'stays') kept.add(letter.id);
      counts[fate]++;
      return fate;
    });
    const those = (fate: Fate) => letters.filter((_, index) => fates[index] === fate);
    for (const letter of those('jobIsDead')) await this.giveUp(letter, queue);
    await this.record(queue, those('becomesDeadLetter'), ({ reason }) => reason);
    const { publisher } = this.broker;
    await Promise.all(those('stays').map((letter) => publisher.publish(returnDeadLetter(letter, queue))));
  }

  private async recordsOf(letters: readonly DeadLetter[]): Promise<Map<string, DeadLetterState>> {
    const records = await this.dead.statesOf(letters.map(({ id }) => id).filter(isUuid));
    return new Map(records.map((record) => [record.id, record]));
  }

  /** The broker gave up on a message that nobody claimed: its job is dead, and its record must say so. */
  private async giveUp({ id, name, attempt, reason }: DeadLetter, queue: string): Promise<void> {
    const error = describeError(new Error(`The broker gave this job up: ${reason}`));
    const death = { id, name, attempt: Number(attempt), queue, error: JSON.stringify(error) };
    await this.afterDeath.deadLetter([death], 'by broker');
  }

  private async record(
    queue: string,
    letters: readonly DeadLetter[],
    reasonOf: (letter: DeadLetter) => string,
  ): Promise<void> {
    await Promise.all(
      letters.map((letter) =>
        this.deadLetters.deadLetter({ queue, message: letter.message }, reasonOf(letter)),
      ),
    );
  }
}

/** Only the record says what a message stands for: anyone who can publish may have put it there, with any id and headers. */
function fateOf(
  { id, name, attempt, byBroker }: DeadLetter,
  queue: string,
  record: DeadLetterState | undefined,
  kept: ReadonlySet<string>,
): Fate {
  if (!record || record.name !== name) return 'becomesDeadLetter';
  if (record.state === 'dead') return record.queue === queue && !kept.has(id) ? 'stays' : 'dropped';
  const isWaiting = record.state === 'queued' || record.state === 'retrying';
  const isHere = record.queue === queue || record.queue === EXCHANGE.unroutable;
  return byBroker && isWaiting && isHere && attempt === record.attempt + 1 ? 'jobIsDead' : 'dropped';
}
