import {
  type AnyContract,
  type BeforeEnqueue,
  ContractRedaction,
  Contracts,
  EnqueueHooks,
  Jobs,
  type JobWatcher,
  type Outbox,
  type PayloadInput,
} from '#jobs';
import type { BulkStore, JobQueries, JobStore, NewRecord } from '#records';
import { MemoryStore } from './memory-store.js';
import { memorySettings, nowhere } from './memory-worker.js';

/** A job that was enqueued, with what it was enqueued with. */
export interface RecordedJob<C extends AnyContract = AnyContract>
  extends Pick<NewRecord, 'id' | 'name' | 'queue' | 'priority' | 'delayMs' | 'runAt' | 'tags'> {
  payload: PayloadInput<C>;
  /** The contract and the payload of the job that follows, if any. */
  next?: { name: string; payload: unknown };
}

/**
 * A stand-in for `Jobs` that keeps what is enqueued and runs nothing. It is the real one over records in memory, so
 * it refuses what the real one refuses: payloads that do not fit, unknown queues and contracts, keys that are held.
 *
 * ```ts
 * const jobs = new RecordingJobs(contracts);
 * const module = await Test.createTestingModule({
 *   providers: [Orders, { provide: Jobs, useValue: jobs }],
 * }).compile();
 * await module.get(Orders).pay(order);
 * expect(jobs.enqueued(SendEmail)).toMatchObject([{ payload: { to: order.email }, delayMs: 600_000 }]);
 * ```
 */
export class RecordingJobs extends Jobs {
  constructor(
    contracts: ConstructorParameters<typeof Contracts>[0],
    protected readonly memory = new MemoryStore(),
    protected readonly known = new Contracts(contracts),
  ) {
    super(
      memorySettings,
      known,
      memory as unknown as JobStore,
      memory as unknown as JobQueries,
      nowhere as unknown as Outbox,
      new ContractRedaction(known),
      // What has not ended when it is looked at goes on for ever.
      { ended: async () => false } as unknown as JobWatcher,
      // Filters are SQL.
      undefined as unknown as BulkStore,
      new EnqueueHooks(),
    );
  }

  /** Has these hooks called before jobs are enqueued, in this order. */
  use(...hooks: BeforeEnqueue[]): this {
    this.hooks.all.push(...hooks);
    return this;
  }

  /** What was enqueued so far, of one contract or of all, oldest first. */
  enqueued<C extends AnyContract>(contract?: C): RecordedJob<C>[] {
    return [...this.memory.jobs.values()].flatMap(({ accepted }) => {
      const { id, name, queue, priority, delayMs, runAt, tags, payload, next } = accepted;
      if (contract && name !== contract.name) return [];
      const plain = (of: string, json: string) =>
        this.encryption.open(this.known.find(of), 'payload', JSON.parse(json));
      const following = next && { name: next.name, payload: plain(next.name, next.payload) };
      const kept = { id, name, queue, priority, delayMs, runAt, tags };
      return [{ ...kept, payload: plain(name, payload), next: following }];
    });
  }

  /** Forgets everything, for the next test. */
  clear(): void {
    this.memory.clear();
  }
}
