import { Injectable } from '@nestjs/common';
import { validate as isUuid } from 'uuid';
import { counted } from '#config';
import {
  Broker,
  deadLetterQueue,
  directRoutingKey,
  EXCHANGE,
  type OutgoingMessage,
  workQueueOf,
} from '#rabbitmq';
import { DeadJobStore, hasEnded, type Queue, QueueStore, type QueueView } from '#records';
import { Contracts } from './contracts.js';
import { type DeadLetter, readDeadLetter } from './dead-letter-message.js';
import { sentOn } from './message.js';

/** Messages that are published again at once. Other clients may publish messages of 16 MiB. */
const BATCH = 16;
/** The queues: those of the contracts, and what is left of those that the contracts had before, or have in other versions. */
@Injectable()
export class Queues {
  constructor(
    private readonly contracts: Contracts,
    private readonly broker: Broker,
    private readonly store: QueueStore,
    private readonly dead: DeadJobStore,
  ) {}

  /** Declares what the contracts need, and notes that. @throws TopologyError, DatabaseUnavailableError */
  async declare(signal?: AbortSignal): Promise<void> {
    const { topology } = this.contracts;
    const earlier = await this.store.declared();
    const left = await this.broker.declare(topology, signal, earlier);
    const byName = new Map([...left, ...topology.queues].map((queue) => [queue.name, queue]));
    await this.store.noteDeclared([...byName.values()]);
  }

  /** All of them that contracts, jobs or migrations know, by name. */
  async list(): Promise<Queue[]> {
    const { workers, declared } = await this.store.facts();
    const served = new Set(workers.flatMap(({ queues }) => queues));
    const left = this.leftOf(declared);
    const views = await this.store.list([...this.contracts.queues.keys(), ...left.keys()]);
    return Promise.all(
      views.map((view) => this.show(view, served.has(view.queue), left.get(view.queue) ?? [view.queue])),
    );
  }

  /** The queues of the broker that no contract needs any more, by the queue of jobs that they are part of. */
  async leftovers(): Promise<ReadonlyMap<string, string[]>> {
    return this.leftOf((await this.store.facts()).declared);
  }

  /**
   * Publishes what lies in these queues, and nobody takes, to where it belongs now: to the queue of its priority if that was
   * given up, else to that of its contract. What no contract knows stays; what is of a job that has ended is dropped.
   *
   * @param signal ends it after the current queue.
   */
  async bringHome({ onlyPriorities = false } = {}, signal?: AbortSignal): Promise<void> {
    for (const queue of [...(await this.leftovers()).values()].flat()) {
      const isOfKnown = this.contracts.queues.has(workQueueOf(queue));
      if (signal?.aborted || isOfBroker(queue) || (onlyPriorities && !isOfKnown)) continue;
      const { messages = 0, consumers = 0 } = (await this.broker.count(queue)) ?? {};
      if (messages === 0 || consumers > 0) continue;
      await this.broker.rotate(queue, { count: messages, batch: BATCH }, async (batch) => {
        const left = await this.unended(batch.map(readDeadLetter));
        await Promise.all(left.map((one) => this.broker.publisher.publish(this.sentHome(one, queue))));
      });
    }
  }

  /** Deletes what {@link leftovers} has of a queue. @returns the part that holds messages or has a consumer, if one does. */
  async delete(queue: string): Promise<string | undefined> {
    const names = (await this.leftovers()).get(queue) ?? [];
    for (const name of names) if ((await this.broker.count(name))?.messages !== 0) return name;
    const declared = await this.store.declared();
    for (const name of names) {
      const bindings = declared.find((one) => one.name === name)?.bindings ?? [];
      if (!(await this.broker.delete({ name, bindings }))) return name;
      await this.store.forget(name);
    }
    return undefined;
  }

  private async unended(messages: readonly DeadLetter[]): Promise<DeadLetter[]> {
    const records = await this.dead.statesOf(messages.map(({ id }) => id).filter(isUuid));
    const ended = records.filter(({ state }) => hasEnded(state));
    return messages.filter(
      ({ id, name }) => !ended.some((record) => record.id === id && record.name === name),
    );
  }

  private sentHome({ name, message }: DeadLetter, queue: string): OutgoingMessage {
    const work = workQueueOf(queue);
    const home = this.contracts.queues.has(work) ? work : this.contracts.find(name)?.queue;
    return sentOn(message, directRoutingKey(home ?? queue, name));
  }

  private leftOf(declared: readonly string[]): Map<string, string[]> {
    const needed = new Set(this.contracts.topology.queues.map(({ name }) => name));
    const left = declared.filter((name) => !needed.has(name)).sort();
    const parts = new Map<string, string[]>();
    for (const name of left) {
      const whole = name.replace(/\.(high|low|dead)$/, '');
      const queue = left.includes(whole) ? whole : name;
      parts.set(queue, [...(parts.get(queue) ?? []), name]);
    }
    return parts;
  }

  /** @param isReported whether a worker that is alive says that it serves the queue. @param parts its queues in the broker. */
  private async show(view: QueueView, isReported: boolean, parts: readonly string[]): Promise<Queue> {
    const counts = await Promise.all(parts.map((name) => this.broker.count(name)));
    const consumers = counts[0]?.consumers ?? null;
    const messages = parts.map((name, index) => (isOfDead(name) ? 0 : (counts[index]?.messages ?? 0)));
    const contracts = this.contracts.ofQueue(view.queue).map(({ name }) => name);
    const advice = adviceOn(view, {
      // A worker gives up its consumers of a queue that is paused.
      isServed: view.paused || consumers === null ? isReported : consumers > 0,
      isEmpty: counts.every((count) => count?.messages === 0),
      messages: messages.reduce((sum, count) => sum + count),
      isKnown: contracts.length > 0,
      movedAway: this.contracts.isFormer(view.queue) ? contracts : [],
    });
    return { ...view, ready: view.queued, consumers, advice };
  }
}

const isOfDead = (name: string) => name.endsWith(deadLetterQueue(''));
/** What lies in dead-letter and retry queues is not to be run at once. */
const isOfBroker = (name: string) => isOfDead(name) || name.startsWith(`${EXCHANGE.jobs}.`);

/** What workers, broker and contracts say of a queue. */
interface Surroundings {
  isServed: boolean;
  /** Whether the broker has no message of it, not even a dead letter. */
  isEmpty: boolean;
  /** How many jobs the broker holds in it. */
  messages: number;
  isKnown: boolean;
  /** The contracts that were in it, when none is any more. */
  movedAway: readonly string[];
}

const REBUILD = '`npm run jobs -- rebuild` brings them to the queue of their contract';

/** What to do about a queue; null when all is well. */
export function adviceOn(
  { queue, paused, queued, scheduled, retrying, running, dead }: QueueView,
  { isServed, isEmpty, messages, isKnown, movedAway }: Surroundings,
): string | null {
  const open = queued + scheduled + retrying;
  const deletion = `It is empty, and no contract has it: \`npm run jobs -- queues delete ${queue}\``;
  if (queue.startsWith(`${EXCHANGE.retry}.`))
    return isEmpty ? deletion : 'No contract has this delay any more: what waits here comes back by itself';
  const waiting = isKnown ? queued : Math.max(open, messages);
  if (waiting > 0 && !isServed && !(isKnown && paused)) {
    const waits = `${counted(waiting, 'job waits', 'jobs wait')}, and no worker takes them`;
    return isKnown
      ? `${waits}: start one that serves this queue (WORKER_QUEUES)`
      : `${waits}: no contract has this queue. Start workers whose contract has it, or had it (movedFrom); or ${REBUILD}`;
  }
  if (!isKnown && dead > 0)
    return `No contract has this queue. Replay or discard its dead letters, or ${REBUILD}`;
  if (open + running + dead > 0 || !isEmpty) return null;
  if (!isKnown) return isServed ? null : deletion;
  return movedAway.length > 0
    ? `It is empty: take it out of movedFrom of ${movedAway.join(', ')}, and delete it after that deploy`
    : null;
}
