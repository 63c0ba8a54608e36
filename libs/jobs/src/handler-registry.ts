import { Injectable, Optional, type Type } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import { ContractError, problemWithDuration } from '#define-job';
import { Contracts } from './contracts.js';
import type { BatchSize, HandlerExtras, JobContext } from './handler.js';
import { Invoker } from './invoker.js';
import { Isolation } from './isolation.js';
import { Admission } from './lifecycle/admission.js';
import { Collector } from './lifecycle/collector.js';
import { Executor } from './lifecycle/executor.js';

const extrasOf = ({ extras = {} }: MessageHandler) => extras as Partial<HandlerExtras>;

/** Checks that the handlers and the contracts fit, and tells the executor how each is run. */
@Injectable()
export class HandlerRegistry {
  private readonly isolated = new Set<string>();
  /** How many jobs handlers take in one call. */
  private readonly sizes = new Map<string, number>();

  constructor(
    private readonly contracts: Contracts,
    private readonly executor: Executor,
    private readonly invoker: Invoker,
    @Optional() private readonly isolation?: Isolation,
    @Optional() private readonly admission?: Admission,
  ) {}

  /** @param found what Nest found, by its pattern. @throws ContractError that names all that cannot be served. */
  register(found: ReadonlyMap<string, MessageHandler>): void {
    const problems = [...found].flatMap(([pattern, handler]) => this.problemWith(pattern, handler) ?? []);
    if (problems.length > 0) throw new ContractError(problems.join('\n'));
    for (const handler of found.values()) this.registerOne(handler);
  }

  /** A handler that cannot run in its thread stops the start, as one does whose provider Nest does not find. */
  async startIsolation(queues: readonly string[]): Promise<void> {
    const served = queues.flatMap((queue) => this.contracts.ofQueue(queue)).map(({ name }) => name);
    const names = [...this.isolated].filter((name) => served.includes(name));
    if (names.length > 0) await this.isolation?.start(names);
  }

  /** Of a queue whose jobs all need a thread, how many can run at once. */
  threadsFor(queue: string): number | undefined {
    const contracts = this.contracts.ofQueue(queue);
    const isIsolated = contracts.length > 0 && contracts.every(({ name }) => this.isolated.has(name));
    return isIsolated ? this.isolation?.threads : undefined;
  }

  /** What handlers of a queue cannot be given, when so many of its jobs run at once. */
  warningsOf(queue: string, prefetch: number): string[] {
    return this.contracts.ofQueue(queue).flatMap(({ name }) => {
      const size = this.sizes.get(name) ?? 0;
      return size <= prefetch
        ? []
        : `${name} takes ${size} jobs in one call, and this worker runs ${prefetch} of queue "${queue}" at once: set WORKER_PREFETCH to ${queue}=${size} or more`;
    });
  }

  private registerOne(handler: MessageHandler): void {
    const { contract, handler: type, isolated, batch, limits } = extrasOf(handler);
    if (!contract || !type) return;
    if (isolated) this.isolated.add(contract.name);
    if (batch) this.sizes.set(contract.name, batch.size);
    const isolation = isolated ? this.isolation : undefined;
    this.executor.register(
      contract,
      isolation ?? (batch ? this.collector(type, handler, batch) : this.invoker.callOf(type, handler)),
    );
    if (limits) this.admission?.register(contract, limits);
  }

  private collector(type: Type, handler: MessageHandler, batch: BatchSize): Collector {
    const call = this.invoker.callOf<readonly JobContext[]>(type, handler);
    return new Collector((jobs) => this.executor.running.runMany(() => call(jobs)), batch);
  }

  private problemWith(pattern: string, found: MessageHandler): string | undefined {
    const { contract, handler, isolated, batch, limits } = extrasOf(found);
    const next = found.next as MessageHandler | undefined;
    if (!handler)
      return (
        `"${pattern}" is handled by a method with @EventPattern or @MessagePattern: make it a class with @JobHandler, ` +
        'or name the transport that its messages come by'
      );
    const className = handler.name;
    if (!contract?.name)
      return `${className} has no contract: @JobHandler was given ${contract}. Is its import circular?`;
    if (next) {
      const other = extrasOf(next).handler?.name ?? 'another class';
      return `${contract.name} has two handlers, ${className} and ${other}: remove one of them`;
    }
    if (this.contracts.find(contract.name) !== contract)
      return `${className} handles ${contract.name}, which is not among the contracts: export it from there`;
    if (isolated && !this.isolation)
      return `${className} is isolated, which takes an IsolationModule: add it to the worker's parts, or drop the option`;
    if (isolated && batch)
      return `${className} is isolated, and takes many jobs in one call: drop one of the two options`;
    const isSize = Number.isInteger(batch?.size ?? 1) && (batch?.size ?? 1) >= 1;
    if (!isSize) return `${className}: batch: size must be a whole number from 1 on, not ${batch?.size}`;
    const problem = batch && problemWithDuration('batch: within', batch.within);
    if (problem) return `${className}: ${problem}`;
    if (limits && !this.admission)
      return `${className} has limits, which take a LimitsModule: add it to the worker's parts, or drop the options`;
    return undefined;
  }
}
