import { Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { firstNameOf } from '#define-job';
import {
  type AnyContract,
  type EnqueueOptions,
  IdempotencyConflictError,
  idempotencyKeyOf,
  Jobs,
  meterOf,
  type NextJob,
  type OwnOptions,
  ownOf,
  type PayloadInput,
} from '#jobs';
import {
  type InsertedRecord,
  JobStore,
  type NewRecord,
  PRODUCER_GRACE_MS,
  type Queryable,
  RecordsDatabase,
} from '#records';
import { BatchStore, type BatchView, type NewBatch } from './batch-store.js';

/** Jobs that one statement inserts. */
const CHUNK = 1_000;

/** How a batch is to be enqueued; all but its key and its transaction is of each of its jobs. */
export interface BatchOptions
  extends OwnOptions,
    Pick<EnqueueOptions, 'delay' | 'runAt' | 'queue' | 'tags' | 'transaction' | 'idempotencyKey' | 'client'> {
  /** Enqueued once, when every job of the batch has ended, however it did. */
  onComplete?: NextJob;
  /** Enqueued once, when every job of the batch has ended and all have succeeded. */
  onSuccess?: NextJob;
}

/** What a job that follows a batch finds as its `previous.result`: `BatchResult.parse(job.previous?.result)`. */
export const BatchResult = z.object({
  total: z.int(),
  succeeded: z.int(),
  dead: z.int(),
  cancelled: z.int(),
  discarded: z.int(),
});

export interface EnqueuedBatch extends BatchView {
  /** False when the idempotency key made this batch before, so that no second one was made. */
  isNew: boolean;
}

/** The producer of batches. */
@Injectable()
export class Batches {
  constructor(
    private readonly jobs: Jobs,
    private readonly store: JobStore,
    private readonly batches: BatchStore,
    private readonly database: RecordsDatabase,
  ) {}

  /**
   * Accepts many jobs of one contract, all or none, that are counted together.
   *
   * ```ts
   * const batch = await this.batches.enqueue(SendEmail, mails, { onComplete: nextJob(TellSender, { campaign }) });
   * ```
   *
   * @throws ContractViolationError with pointers such as `/payloads/17/to`, PayloadError: nothing is accepted.
   * @throws IdempotencyConflictError when the idempotency key came before, with something else.
   * @throws DatabaseUnavailableError: it is not known whether the batch was accepted.
   */
  async enqueue<C extends AnyContract>(
    contract: C,
    payloads: readonly PayloadInput<C>[],
    options: BatchOptions = {},
  ): Promise<EnqueuedBatch> {
    const { onComplete, onSuccess, transaction, idempotencyKey, client, ...ofJobs } = options;
    const batch: NewBatch = {
      id: uuidv7(),
      name: contract.name,
      total: payloads.length,
      onComplete: onComplete && this.jobs.prepareNext(onComplete, '/onComplete', ofJobs.tags),
      onSuccess: onSuccess && this.jobs.prepareNext(onSuccess, '/onSuccess', ofJobs.tags),
    };
    const jobs = payloads.map((payload) => ({ contract, payload, options: ofJobs }));
    const prepared = this.jobs.prepareAll(jobs, (index) => `/payloads/${index}`);
    const records = prepared.map((record): NewRecord => ({ ...record, batch: batch.id }));
    if (idempotencyKey !== undefined) {
      const { delay, runAt, queue, ...others } = ofJobs;
      const wanted = [firstNameOf(contract), delay ?? runAt, queue, onComplete, onSuccess, ...ownOf(others)];
      const payloads = records.map(({ payload }) => payload);
      batch.key = idempotencyKeyOf({ idempotencyKey, client }, wanted, payloads);
    }

    const insert = (queryable: Queryable) =>
      this.insert(queryable, batch, records, transaction ? 0 : undefined);
    const inserted = await (transaction ? insert(transaction) : this.database.transaction(insert));
    if (!inserted) return this.madeBefore(batch, transaction);
    meterOf(contract).enqueued(records.length);
    const queued = records.filter((_, index) => inserted.jobs[index]?.state === 'queued');
    if (!transaction) await this.jobs.publishMany(queued);
    return { ...inserted.view, isNew: true };
  }

  /** @returns what was inserted; undefined when another batch holds the key. */
  private async insert(
    transaction: Queryable,
    batch: NewBatch,
    records: readonly NewRecord[],
    graceMs = PRODUCER_GRACE_MS,
  ): Promise<{ view: BatchView; jobs: InsertedRecord[] } | undefined> {
    if (!(await this.batches.insert(transaction, batch))) return undefined;
    const jobs: InsertedRecord[] = [];
    for (let start = 0; start < records.length; start += CHUNK) {
      const chunk = records.slice(start, start + CHUNK);
      jobs.push(...(await this.store.insertMany(chunk, transaction, graceMs)));
    }
    return { view: (await this.batches.find(batch.id, transaction)) as BatchView, jobs };
  }

  private async madeBefore({ key }: NewBatch, transaction: Queryable | undefined): Promise<EnqueuedBatch> {
    const held = key && (await this.batches.findByKey(key, transaction));
    if (!key || !held) throw new Error('The batch that held the idempotency key is gone; try again');
    if (held.fingerprint !== key.fingerprint) throw new IdempotencyConflictError(`batch ${held.id}`);
    return { ...((await this.batches.find(held.id, transaction)) as BatchView), isNew: false };
  }
}
