import { Inject, Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { type Duration, toMilliseconds } from '#config';
import { type InsertedRecord, type JobView, type NewRecord, type Queryable, Records } from '#records';
import type { AnyContract, PayloadInput } from './contract.js';
import { Contracts } from './contracts.js';
import { UnknownContractError } from './errors.js';
import { type JobsOptions, MODULE_OPTIONS_TOKEN } from './jobs.module-definition.js';
import { Outbox } from './outbox.js';
import { conform, toJson } from './payload.js';

/** How a job is to be enqueued. */
export interface EnqueueOptions {
  /** Run no earlier than this long from now. */
  delay?: Duration | number;
  /** Run no earlier than this. */
  runAt?: Date;
  /** Wait in this queue rather than the contract's own. It must be the queue of some contract. */
  queue?: string;
  /**
   * Insert into this transaction of the caller's own: the job exists if and only if the transaction commits. The
   * relay publishes it then, within some seconds.
   */
  transaction?: Queryable;
}

/** The producer: how jobs are put in. */
@Injectable()
export class Jobs {
  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: JobsOptions,
    private readonly contracts: Contracts,
    private readonly records: Records,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Accepts a job. Once this resolves the job is recorded and cannot be lost; its message goes out at once, or with
   * the relay when no broker answers.
   *
   * @throws ContractViolationError, PayloadError when the payload cannot be accepted.
   * @throws DatabaseUnavailableError, OverloadedError when it could not be recorded; try again later.
   */
  async enqueue<C extends AnyContract>(
    contract: C,
    payload: PayloadInput<C>,
    options: EnqueueOptions = {},
  ): Promise<JobView> {
    const record = this.toRecord(contract, payload, options);
    if (options.transaction) {
      const [inserted] = await this.records.insertInto(options.transaction, [record]);
      return toView(record, inserted as InsertedRecord, payload);
    }
    const inserted = await this.records.insert(record);
    if (inserted.state === 'queued') void this.publish(record);
    return toView(record, inserted, payload);
  }

  /** Accepts many jobs of one contract, all or none, in one statement. @throws as {@link enqueue} */
  async enqueueMany<C extends AnyContract>(
    contract: C,
    payloads: readonly PayloadInput<C>[],
    options: EnqueueOptions = {},
  ): Promise<JobView[]> {
    const records = payloads.map((payload) => this.toRecord(contract, payload, options));
    const inserted = await (options.transaction
      ? this.records.insertInto(options.transaction, records)
      : this.records.insertMany(records));
    if (!options.transaction)
      void this.publishMany(records.filter((_, index) => inserted[index]?.state === 'queued'));
    return records.map((record, index) => toView(record, inserted[index] as InsertedRecord, payloads[index]));
  }

  /** The contract of a name. @throws UnknownContractError */
  contract(name: string): AnyContract {
    const contract = this.contracts.find(name);
    if (!contract) throw new UnknownContractError(name);
    return contract;
  }

  /** Whether a queue of this name exists. */
  hasQueue(name: string): boolean {
    return this.contracts.queues.has(name);
  }

  private toRecord(
    contract: AnyContract,
    payload: unknown,
    { delay, runAt, queue }: EnqueueOptions,
  ): NewRecord {
    conform(contract, 'payload', payload);
    return {
      id: uuidv7(),
      name: contract.name,
      queue: queue ?? contract.queue,
      // The payload as it was given: the handler's side applies defaults and transformations, once.
      payload: toJson(payload, this.options.maxPayload),
      maxAttempts: contract.retry.length + 1,
      delayMs: delay === undefined ? undefined : toMilliseconds(delay),
      runAt,
    };
  }

  private publish(record: NewRecord): Promise<boolean> {
    return this.outbox.publish({ ...record, attempt: 1, claim: 0 });
  }

  /** As many at once as the publish window takes; what does not fit any more is the relay's. */
  private async publishMany(records: readonly NewRecord[]): Promise<void> {
    for (let next = 0; next < records.length && this.outbox.room > 0; ) {
      // Half of it, so that single jobs get through beside a large batch.
      const part = records.slice(next, next + Math.ceil(this.outbox.room / 2));
      next += part.length;
      await Promise.all(part.map((record) => this.publish(record)));
    }
  }
}

function toView(record: NewRecord, { state, createdAt, runAt }: InsertedRecord, payload: unknown): JobView {
  return {
    id: record.id,
    name: record.name,
    queue: record.queue,
    state,
    progress: null,
    progressNote: null,
    attempt: 0,
    maxAttempts: record.maxAttempts,
    payload,
    result: null,
    error: null,
    attempts: [],
    createdAt,
    runAt,
    startedAt: null,
    finishedAt: null,
  };
}
