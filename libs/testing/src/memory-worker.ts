import type { Settings } from '#config';
import {
  AfterDeath,
  type AnyContract,
  type BatchHandler,
  type Contracts,
  type DeadLettering,
  Executor,
  encode,
  type Handler,
  type JobContext,
  type JobLogs,
  type Jobs,
  type Outbox,
  type Progress,
  resultOf,
  takesMany,
} from '#jobs';
import type { Delivery } from '#rabbitmq';
import type { DeadJobStore, JobStore, Throughput } from '#records';
import { rootLog } from '#telemetry';
import type { MemoryStore } from './memory-store.js';

/** As far as they are read without services. */
export const memorySettings = {
  MAX_PAYLOAD: 1024 * 1024,
  ENCRYPTION_KEYS: [{ id: 'memory', key: Buffer.alloc(32, 1) }],
} as unknown as Settings;

/** A message goes nowhere: what is to run next, the {@link MemoryStore} say. */
export const nowhere = {
  publish: async () => true,
  room: Number.POSITIVE_INFINITY,
  backpressure: () => undefined,
};

/** Calls a handler, with one job also where it takes many. */
export const callOne = async <C extends AnyContract>(
  handler: Handler<C> | BatchHandler<C>,
  job: JobContext,
): Promise<unknown> =>
  takesMany(handler) ? resultOf(await handler.handle([job]), job) : (handler as Handler<C>).handle(job);

/**
 * The worker's own `Executor` over records in memory: a job is encoded, decoded, claimed, run and settled by the code that
 * does so in production. Only the messages are handed over by hand, and limits do not hold.
 */
export class MemoryWorker {
  private readonly executor: Executor;

  constructor(
    private readonly contracts: Contracts,
    private readonly records: MemoryStore,
    jobs?: Jobs,
  ) {
    const progress: Pick<Progress, 'note' | 'forget'> = {
      note: (id, _, fraction, note) => void records.get(id).progress.push({ fraction, note }),
      forget: () => {},
    };
    const log = rootLog('test', 'silent');
    this.executor = new Executor(
      memorySettings,
      log,
      contracts,
      records as unknown as JobStore,
      // What is encoded here is a job.
      undefined as unknown as DeadLettering,
      nowhere as unknown as Outbox,
      progress as Progress,
      { keeperOf: () => () => {} } as unknown as JobLogs,
      { note: () => {} } as unknown as Throughput,
      undefined,
      jobs && new AfterDeath(jobs, contracts, undefined as unknown as DeadJobStore, log),
    );
  }

  register(contract: AnyContract, run: (job: JobContext) => unknown): void {
    this.executor.register(contract, async (job) => run(job));
  }

  /** Runs the next attempt of a job that waits, however long it still would. */
  async attempt(id: string): Promise<void> {
    const { accepted, attempt } = this.records.get(id);
    const { content, properties } = encode({ ...accepted, attempt: attempt + 1 }, this.contracts);
    const message = { content, properties, fields: {} } as unknown as Delivery['message'];
    await new Promise<void>((ack) => {
      this.executor.take({ queue: accepted.queue, priority: accepted.priority, message, ack });
    });
    // Only then the executor has let go of it, and takes the same attempt again after a snooze.
    await new Promise(setImmediate);
    if (this.records.get(id).state === 'running')
      throw new Error(`The attempt of ${accepted.name} did not end`);
  }

  /** Cancels a running job, as `POST /jobs/{id}/cancel` would. */
  cancel(id: string): void {
    this.executor.running.cancel(id, this.records.get(id).claim);
  }
}
