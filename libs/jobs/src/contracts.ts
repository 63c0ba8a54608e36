import { type AnyContract, ContractError, namesOf } from '#define-job';
import { buildTopology, priorityQueue, type Topology } from '#rabbitmq';

/** The contracts that an app was given, by name. */
export class Contracts {
  /** By their names, and by those that they had before. */
  private readonly byName = new Map<string, AnyContract>();
  readonly prioritised: ReadonlySet<string>;

  /**
   * @param contracts a module's exports (`import * as contracts from '#contracts'`) or a list.
   * @throws ContractError when two contracts have one name, now or before, or an entry was not made by `defineJob`.
   */
  constructor(contracts: Record<string, AnyContract> | readonly AnyContract[]) {
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
    this.prioritised = new Set([...this].filter(({ priorities }) => priorities).map(({ queue }) => queue));
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

  [Symbol.iterator](): IterableIterator<AnyContract> {
    return new Set(this.byName.values()).values();
  }

  get queues(): Map<string, string[]> {
    const queues = new Map<string, string[]>();
    for (const { name, queue } of this) queues.set(queue, [...(queues.get(queue) ?? []), name]);
    return queues;
  }

  get topology(): Topology {
    const bound = [...this.queues].map(
      ([queue, names]) => [queue, names.flatMap((name) => namesOf(this.find(name) as AnyContract))] as const,
    );
    return buildTopology({
      queues: new Map(bound),
      prioritised: this.prioritised,
      retryDelays: [...this].flatMap(({ retry }) => retry),
    });
  }
}
