import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import {
  countsByState,
  hasOpenJobs,
  type JobKey,
  JobStore,
  jobStates,
  type NextRecord,
  type Queryable,
  RecordsDatabase,
} from '#records';
import { Count, Id, Time } from '#resources';

export interface NewBatch {
  id: string;
  /** Of the contract of its jobs. */
  name: string;
  total: number;
  onComplete?: NextRecord;
  onSuccess?: NextRecord;
  key?: JobKey & { fingerprint: string };
}

export const BatchView = z
  .strictObject({
    id: Id,
    name: z.string().describe('Of the contract of its jobs'),
    total: Count,
    counts: z.record(z.enum(jobStates), Count).describe('How many jobs are in which state'),
    createdAt: Time,
    cancelledAt: Time.nullable(),
    completedAt: Time.nullable().describe(
      'Since when all of its jobs have ended, and the jobs that follow are enqueued',
    ),
    onComplete: Id.nullable().describe(
      'The job that follows; it exists when the batch has ended so that it does',
    ),
    onSuccess: Id.nullable(),
  })
  .meta({ id: 'Batch' });
export type BatchView = z.output<typeof BatchView>;
export type BatchCounts = BatchView['counts'];

/** A batch of which every job has ended, locked. */
export interface EndedBatch {
  id: string;
  name: string;
  total: number;
  counts: BatchCounts;
  onComplete: NextRecord | null;
  onSuccess: NextRecord | null;
}

const COUNTS = `${countsByState('b.id')} as counts`;

const VIEW = `
  select b.id, b.name, b.total, ${COUNTS}, b.created_at as "createdAt", b.cancelled_at as "cancelledAt",
    b.completed_at as "completedAt", b.on_complete ->> 'id' as "onComplete", b.on_success ->> 'id' as "onSuccess"
  from batches b`;

const toView = (batch: BatchView): BatchView => ({ ...batch, counts: countsOf(batch.counts) });

/** What is written and read of batches. Jobs are counted on request: a counter would make them wait for one row. */
@Injectable()
export class BatchStore {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly store: JobStore,
  ) {}

  /** Records a batch as accepted, as part of a transaction. @returns false when another batch holds its key. */
  async insert(
    transaction: Queryable,
    { id, name, total, onComplete, onSuccess, key }: NewBatch,
  ): Promise<boolean> {
    if (key) {
      await transaction.query({
        name: 'batch-free-key',
        text: `
          update batches set key_scope = null, key = null
          where key_scope = $1 and key = $2 and created_at < now() - $3 * interval '1 millisecond'`,
        values: [key.scope, key.key, key.heldMs],
      });
    }
    const { rows } = await transaction.query({
      name: 'batch-insert',
      text: `
        insert into batches (id, name, total, on_complete, on_success, key_scope, key, fingerprint)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (key_scope, key) do nothing
        returning id`,
      values: [
        ...[id, name, total],
        ...[onComplete, onSuccess].map((next) => (next ? JSON.stringify(next) : null)),
        ...[key?.scope ?? null, key?.key ?? null, key?.fingerprint ?? null],
      ],
    });
    return rows.length > 0;
  }

  async find(id: string, queryable: Queryable = this.database): Promise<BatchView | undefined> {
    const { rows } = await queryable.query({
      name: 'batch-find',
      text: `${VIEW} where b.id = $1`,
      values: [id],
    });
    return (rows as BatchView[]).map(toView)[0];
  }

  /** Batches, newest first. @param before only those made before the one of this id. */
  async list(limit: number, before?: string): Promise<BatchView[]> {
    const { rows } = await this.database.query<BatchView>({
      name: 'batch-list',
      text: `${VIEW} where $2::uuid is null or b.id < $2 order by b.id desc limit $1`,
      values: [limit, before ?? null],
    });
    return rows.map(toView);
  }

  async findByKey(
    { scope, key }: { scope: string; key: string },
    queryable: Queryable = this.database,
  ): Promise<{ id: string; fingerprint: string } | undefined> {
    const { rows } = await queryable.query({
      name: 'batch-find-by-key',
      text: 'select id, fingerprint from batches where key_scope = $1 and key = $2',
      values: [scope, key],
    });
    return rows[0] as { id: string; fingerprint: string } | undefined;
  }

  /**
   * Cancels what has not ended, in pages. Killed half-way, the same call goes on with the rest.
   *
   * @returns false when the batch had ended before.
   */
  async cancel(id: string): Promise<boolean> {
    const { rows: open } = await this.database.query({
      name: 'batch-cancel',
      text: `
        update batches set cancelled_at = coalesce(cancelled_at, now())
        where id = $1 and (completed_at is null or cancelled_at is not null)
        returning id`,
      values: [id],
    });
    if (open.length === 0) return false;
    await this.store.cancelBatch(id);
    return true;
  }

  /** Locks batches whose jobs have all ended and that nobody completes at this moment, but for `others`. */
  async takeEnded(
    transaction: Queryable,
    limit: number,
    others: readonly string[] = [],
  ): Promise<EndedBatch[]> {
    const { rows } = await transaction.query({
      name: 'batch-take-ended',
      text: `
        select b.id, b.name, b.total, ${COUNTS}, b.on_complete as "onComplete", b.on_success as "onSuccess"
        from batches b
        where b.completed_at is null and b.id <> all ($2::uuid[]) and not ${hasOpenJobs('b.id')}
        order by b.id
        limit $1
        for update of b skip locked`,
      values: [limit, others],
    });
    return (rows as EndedBatch[]).map((batch) => ({ ...batch, counts: countsOf(batch.counts) }));
  }

  async complete(transaction: Queryable, ids: readonly string[]): Promise<void> {
    await transaction.query({
      name: 'batch-complete',
      text: 'update batches set completed_at = now() where id = any ($1::uuid[])',
      values: [ids],
    });
  }
}

/** Every state with its number, also those that no job is in. */
const countsOf = (counts: Partial<BatchCounts>): BatchCounts =>
  Object.fromEntries(jobStates.map((state) => [state, counts[state] ?? 0])) as BatchCounts;
