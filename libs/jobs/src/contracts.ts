import {
  type AnyContract,
  ContractError,
  type Duration,
  type JobRetry,
  namesOf,
  type OnDead,
  problemWithRetry,
  type RetryPolicy,
  retryPolicy,
  toMilliseconds,
} from '#define-job';
import { buildTopology, EXCHANGE, priorityQueue, type Topology } from '#rabbitmq';
import type { Ages, Homes, Known, Taken } from '#records';
import type { IncomingJob } from './decode.js';

/** Of a job whose contract is not known. */
const NO_RETRY = retryPolicy([]);

/** The contracts that an app was given, by name. */
export class Contracts {
  /** By their names, and by those that they had before. */
  private readonly byName = new Map<string, AnyContract>();
  readonly prioritised: ReadonlySet<string>;

  /**
   * @param contracts a module's exports (`import * as contracts from '#contracts'`) or a list.
   * @param onDead for jobs whose contract has none of its own.
   * @throws ContractError when two contracts have one name, now or before, or an entry was not made by `defineJob`.
   */
  constructor(
    contracts: Record<string, AnyContract> | readonly AnyContract[],
    readonly onDead?: OnDead,
  ) {
    for (const [key, contract] of Object.entries(contracts)) {
      if (!contract?.name || !contract.queue || !contract.payload) {
        throw new ContractError(
          `"${key}" among the contracts is none: make it with defineJob({ name, queue, payload })`,
        );
      }
      for (const name of namesOf(contract)) {
        if (this.byName.has(name)) {
          throw new ContractError(
            `Two contracts are named "${name}": give one of them another name, or take it out of renamedFrom`,
          );
        }
        this.byName.set(name, contract);
      }
    }
    const prioritised = [...this].filter(({ priorities }) => priorities);
    this.prioritised = new Set(
      prioritised.flatMap(({ queue, movedFrom }) => [
        queue,
        ...movedFrom.filter((name) => this.isFormer(name)),
      ]),
    );
    for (const queue of this.prioritised) {
      const taken = (['high', 'low'] as const)
        .map((priority) => priorityQueue(queue, priority))
        .find((name) => this.queues.has(name));
      if (taken) {
        throw new ContractError(
          `The queue "${taken}" of a contract is also where "${queue}" keeps its priorities: give it another name`,
        );
      }
    }
  }

  /** The contract that has this name, or had it before. Only own names count: `constructor` is not a contract. */
  find(name: string): AnyContract | undefined {
    return this.byName.get(name);
  }

  /** When a failed job is tried again: as it was enqueued to be, or as its contract says. */
  retryOf(contract: AnyContract | undefined, { options }: Pick<Taken, 'options'>): RetryPolicy {
    const own = options?.retry;
    // A newer producer may know policies that this worker does not.
    if (own === undefined || problemWithRetry(own) !== undefined) return contract?.retry ?? NO_RETRY;
    const policy = retryPolicy(own as JobRetry);
    const delays = new Set([...this].flatMap(({ retry }) => retry.queues.map(toMilliseconds)));
    return { ...policy, queues: policy.queues.filter((delay) => delays.has(toMilliseconds(delay))) };
  }

  /** The version of each contract, by each of its names. */
  get known(): Known {
    return Object.fromEntries([...this.byName].map(([name, { version }]) => [name, version]));
  }

  /** How long jobs are kept after their end, in milliseconds, by each of their names; of contracts that say so. */
  get ages(): Ages['names'] {
    const inMs = ({ keep }: AnyContract) =>
      Object.fromEntries(
        Object.entries(keep).map(([state, age]) => [state, toMilliseconds(age as Duration)]),
      );
    const own = [...this.byName].filter(([, { keep }]) => Object.keys(keep).length > 0);
    return Object.fromEntries(own.map(([name, contract]) => [name, inMs(contract)]));
  }

  /**
   * What of a job is not known here: its contract, its version, or that of a result that it is handed on.
   *
   * @returns all that a worker must know to run it; undefined when it is known.
   */
  unknownOf(
    { name, version: said }: Pick<IncomingJob, 'name' | 'version'>,
    { version: recorded, previous }: Pick<Taken, 'version' | 'previous'>,
  ): Known | undefined {
    const version = Math.max(said, recorded);
    // A result of a contract that is not known here is handed on as it is.
    const before = previous ? this.find(previous.name) : undefined;
    const given = before ? (previous?.version ?? 0) : 0;
    if ((this.find(name)?.version ?? 0) >= version && (before?.version ?? 0) >= given) return undefined;
    const needed = { [name]: version };
    return previous && given > (needed[previous.name] ?? 0) ? { ...needed, [previous.name]: given } : needed;
  }

  [Symbol.iterator](): IterableIterator<AnyContract> {
    return new Set(this.byName.values()).values();
  }

  /** Each queue with the names of its contracts; those that contracts were moved from have none. */
  get queues(): Map<string, string[]> {
    const queues = new Map<string, string[]>();
    for (const { name, queue } of this) queues.set(queue, [...(queues.get(queue) ?? []), name]);
    for (const name of [...this].flatMap(({ movedFrom }) => movedFrom))
      if (!queues.has(name)) queues.set(name, []);
    return queues;
  }

  /** Whether contracts were moved from a queue, and none has it now. */
  isFormer(queue: string): boolean {
    return this.queues.get(queue)?.length === 0;
  }

  /** The contracts whose jobs wait in a queue, or did. */
  ofQueue(name: string): AnyContract[] {
    return [...this].filter(({ queue, movedFrom }) => queue === name || movedFrom.includes(name));
  }

  get homes(): Homes {
    const of = Object.fromEntries([...this.byName].map(([name, { queue }]) => [name, queue]));
    return { current: [...Object.values(of), EXCHANGE.unroutable], of };
  }

  get topology(): Topology {
    const bound = new Map([...this.queues.keys()].map((queue): [string, string[]] => [queue, []]));
    // Old code publishes by the name, too: where its workers serve it, as those of this code do.
    for (const contract of this)
      bound.get(contract.movedFrom.at(-1) ?? contract.queue)?.push(...namesOf(contract));
    return buildTopology({
      queues: bound,
      prioritised: this.prioritised,
      retryDelays: [...this].flatMap(({ retry }) => retry.queues),
    });
  }
}
