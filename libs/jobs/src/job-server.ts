import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { untilAvailable } from '#common';
import { Settings } from '#config';
import { ContractError, type Priority } from '#define-job';
import { Broker, type Consumer, priorityQueue } from '#rabbitmq';
import { Database, type Orders, WorkerLock } from '#records';
import { Contracts } from './contracts.js';
import { Cancellations } from './duties/cancellations.js';
import { DeadLetterKeeper } from './duties/dead-letter-keeper.js';
import { HeldJobs } from './duties/held-jobs.js';
import { Pauses } from './duties/pauses.js';
import { Relay } from './duties/relay.js';
import { Rescuer } from './duties/rescuer.js';
import { StartDeadlines } from './duties/start-deadlines.js';
import { WorkerStatus } from './duties/worker-status.js';
import { HandlerRegistry } from './handler-registry.js';
import { JobTransport } from './job-transport.js';
import { Executor } from './lifecycle/executor.js';
import { sharesOf } from './priorities.js';

/**
 * The worker, as Nest sees it: a transport whose messages are jobs.
 *
 * ```ts
 * app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
 * await app.startAllMicroservices();
 * ```
 *
 * Nest finds the classes with `@JobHandler` among the controllers and wraps them in their guards, pipes, interceptors
 * and filters, the `HandlerRegistry` checks them; this class consumes the queues. What happens to one delivery is the
 * `Executor`'s.
 */
@Injectable()
export class JobServer extends JobTransport implements OnModuleDestroy {
  protected override readonly logger = new Logger(JobServer.name);
  /** Each with its work queue. */
  private readonly consumers = new Map<Consumer, string>();
  private orders: Orders = { paused: new Set(), state: 'working' };
  private maxAttempts = Number.POSITIVE_INFINITY;
  private readonly starting = new AbortController();
  private hasStarted = false;
  private draining: Promise<void> | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly contracts: Contracts,
    private readonly broker: Broker,
    private readonly database: Database,
    private readonly lock: WorkerLock,
    private readonly executor: Executor,
    private readonly handlers: HandlerRegistry,
    private readonly cancellations: Cancellations,
    private readonly pauses: Pauses,
    private readonly relay: Relay,
    private readonly rescuer: Rescuer,
    private readonly deadLetters: DeadLetterKeeper,
    private readonly heldJobs: HeldJobs,
    private readonly startDeadlines: StartDeadlines,
    private readonly workerStatus: WorkerStatus,
  ) {
    super();
  }

  /**
   * Called by Nest when the worker starts. Waits for broker, database and migration as long as it takes.
   *
   * @param callback gets a ContractError when the worker cannot start.
   */
  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      this.handlers.register(this.getHandlers());
      const queues = this.servedQueues();
      await Promise.all([
        this.handlers.startIsolation(queues),
        this.broker.check(this.contracts.topology, this.starting.signal),
      ]);
      const orders = await untilAvailable(() => this.join(), this.starting.signal);
      if (this.draining) return callback();
      for (const queue of queues) this.consume(queue);
      this.hasStarted = true;
      if (queues.length === 0) this.logger.warn('There are no contracts, so this worker has nothing to do');
      this.obey(orders);
      this.pauses.onAnswer = (orders) => this.obey(orders);
      const { cancellations, pauses, relay, rescuer, workerStatus } = this;
      const ofLeader = [this.deadLetters, this.heldJobs, this.startDeadlines];
      for (const duty of [cancellations, pauses, relay, rescuer, ...ofLeader, workerStatus]) duty.start();
      callback();
    } catch (error) {
      callback(this.starting.signal.aborted ? undefined : error);
    }
  }

  /** Queues that this worker should consume and does not at the moment; all of them before it has started. */
  get detached(): string[] {
    if (!this.hasStarted) return ['every queue'];
    return [...this.consumers.keys()]
      .filter(({ isAttached, isPaused }) => !isAttached && !isPaused)
      .map(({ queue }) => queue);
  }

  /** The work queues served and not paused, each with its queues in the broker; undefined before the worker has started. */
  get serving(): ReadonlyMap<string, readonly string[]> | undefined {
    if (!this.hasStarted) return undefined;
    const serving = new Map<string, string[]>();
    for (const [{ queue: name }, queue] of this.consumers) {
      if (!this.isPaused(queue)) serving.set(queue, [...(serving.get(queue) ?? []), name]);
    }
    return serving;
  }

  /** Lets this worker run so many attempts and no more. What is delivered beyond them goes back to its queue at once. */
  limitAttempts(max: number): void {
    this.maxAttempts = max;
  }

  /** Nest calls it first on SIGTERM, while everything that a job needs still stands. */
  async onModuleDestroy(): Promise<void> {
    await this.close();
  }

  /** Takes no more jobs, finishes those in flight within the grace time, releases the rest. */
  override async close(): Promise<void> {
    this.draining ??= this.drain();
    await this.draining;
  }

  override unwrap<T>(): T {
    return this.broker as T;
  }

  private async drain(): Promise<void> {
    this.starting.abort();
    this.workerStatus.serving = [];
    if (this.executor.size > 0) this.logger.log({ msg: 'Draining', inFlight: this.executor.size });
    await Promise.all([...this.consumers.keys()].map((consumer) => consumer.stop()));
    await Promise.all([
      this.executor.drain(this.settings.SHUTDOWN_GRACE),
      this.relay.stop(),
      this.rescuer.stop(),
      this.pauses.stop(),
      this.deadLetters.stop(),
      this.heldJobs.stop(),
      this.startDeadlines.stop(),
    ]);
    await Promise.all([this.workerStatus.stop(), this.cancellations.stop()]);
    await Promise.all([...this.consumers.keys()].map((consumer) => consumer.close()));
  }

  /** Becomes a worker in the database. @returns what it is to do. */
  private async join(): Promise<Orders> {
    await this.database.checkSchema();
    await this.lock.id();
    return this.pauses.now();
  }

  /** Where no contract has a queue any more, those that serve its former contracts serve it, too. */
  private servedQueues(): string[] {
    const known = [...this.contracts.queues.keys()];
    const named = [...new Set(this.settings.WORKER_QUEUES)];
    const others = named.filter((name) => name.startsWith('!')).map((name) => name.slice(1));
    const wanted = named.filter((name) => !name.startsWith('!'));
    const unknown = [...wanted, ...others].filter((queue) => !known.includes(queue));
    if (unknown.length > 0) {
      throw new ContractError(
        `WORKER_QUEUES names ${unknown.join(', ')}; the contracts know ${known.join(', ')}`,
      );
    }
    const served = wanted.length > 0 ? wanted : known.filter((queue) => !this.contracts.isFormer(queue));
    const isServed = (queue: string) => served.includes(queue) && !others.includes(queue);
    const former = known.filter(
      (queue) =>
        this.contracts.isFormer(queue) && this.contracts.ofQueue(queue).some(({ queue }) => isServed(queue)),
    );
    return [...new Set([...served, ...former])].filter((queue) => !others.includes(queue));
  }

  /**
   * Of a queue whose jobs all need a thread no more are taken than there are threads: other workers may have some. A former
   * queue has the prefetch of the one that its contracts have now, unless it has one of its own.
   */
  private prefetchOf(queue: string): number {
    const { queues, fallback } = this.settings.WORKER_PREFETCH;
    const names = [
      queue,
      ...(this.contracts.isFormer(queue) ? this.contracts.ofQueue(queue) : []).map(({ queue }) => queue),
    ];
    const wanted = names.map((name) => queues.get(name)).find((count) => count !== undefined) ?? fallback;
    return Math.min(wanted, this.handlers.threadsFor(queue) ?? wanted);
  }

  private consume(queue: string): void {
    const prefetch = this.prefetchOf(queue);
    for (const warning of this.handlers.warningsOf(queue, prefetch)) this.logger.warn(warning);
    const shares = this.contracts.prioritised.has(queue) ? sharesOf(prefetch) : { normal: prefetch };
    for (const [priority, share] of Object.entries(shares) as [Priority, number][]) {
      const atOnce = Math.min(share, this.maxAttempts);
      const consumer = this.broker.consume(priorityQueue(queue, priority), atOnce, ({ message, ack }) => {
        this.executor.take({ queue, priority, message, ack });
        if (this.isSpent) this.applyPauses();
      });
      this.consumers.set(consumer, queue);
    }
  }

  /** Whether all attempts that may run have run or are in flight. That ends when something in flight turns out not to run. */
  private get isSpent(): boolean {
    return this.executor.ended + this.executor.size >= this.maxAttempts;
  }

  private obey(orders: Orders): void {
    const { state } = orders;
    if (state !== this.orders.state) this.logger.log(`An operator wants this worker to be ${state}`);
    // There is one way in which workers end well, and this is it.
    if (state === 'stopping' && state !== this.orders.state) process.kill(process.pid, 'SIGTERM');
    this.orders = orders;
    const takes = state === 'working' && !this.draining;
    this.workerStatus.serving = takes ? [...new Set(this.consumers.values())] : [];
    this.applyPauses();
  }

  private applyPauses(): void {
    for (const [consumer, queue] of this.consumers) consumer.pause(this.isSpent || this.isPaused(queue));
  }

  private isPaused(queue: string): boolean {
    return this.orders.state !== 'working' || this.orders.paused.has(queue);
  }
}
