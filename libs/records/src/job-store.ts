import { Injectable } from '@nestjs/common';
import type { JobState } from '#define-job';
import * as claiming from './claim-statements.js';
import { Claims } from './claims.js';
import { columns } from './columns.js';
import type {
  Claim,
  ClaimRequest,
  InsertedRecord,
  JobKey,
  KeyedInsert,
  KeyedRecord,
  NewRecord,
  Postponement,
  Settlement,
} from './job-record.js';
import { CANCEL, OPEN_STATES } from './jobs-in-sql.js';
import { insertedAs, insertKeyed } from './keyed-inserts.js';
import { type Queryable, RecordsDatabase, rowsOf } from './records-database.js';
import { StatementBatcher } from './statement-batcher.js';
import * as sql from './statements.js';
import { WorkerLock } from './worker-lock.js';

/** How long the relay leaves a new record to its producer: the longest that a job waits if that one dies. */
export const PRODUCER_GRACE_MS = 5_000;
/** Jobs of a batch that one statement cancels. */
const CANCEL_PAGE = 1_000;

/**
 * All that is written of a job, named after what happens to it, for many jobs in one statement. What a worker writes names
 * its claim, so that one which lost its job to another writes nothing.
 */
@Injectable()
export class JobStore {
  private readonly inserts: StatementBatcher<NewRecord, InsertedRecord>;
  private readonly keyedInserts: StatementBatcher<KeyedRecord, KeyedInsert>;
  private readonly looks: StatementBatcher<ClaimRequest, boolean>;
  private readonly claims: StatementBatcher<ClaimRequest, Claim>;
  private readonly postponements: StatementBatcher<Postponement, undefined>;
  private readonly settlements: StatementBatcher<Settlement, JobState | null>;

  constructor(
    private readonly database: RecordsDatabase,
    private readonly lock: WorkerLock,
  ) {
    const bySize = { sizeOf: ({ payload }: NewRecord) => payload.length };
    this.inserts = new StatementBatcher((records) => this.insertMany(records), bySize);
    this.keyedInserts = new StatementBatcher<KeyedRecord, KeyedInsert>(
      (records) => insertKeyed(database, records, PRODUCER_GRACE_MS),
      bySize,
    );
    const claims = new Claims(database, lock, (records) => this.insertMany(records));
    this.looks = new StatementBatcher((requests) => claims.lookAt(requests));
    this.claims = new StatementBatcher((requests) => claims.claimAll(requests));
    this.settlements = new StatementBatcher((settlements) => this.settleAll(settlements), {
      sizeOf: ({ result }) => result?.length ?? 0,
    });
    this.postponements = new StatementBatcher((postponements) => this.postponeAll(postponements));
  }

  /**
   * Records a job as accepted. Once this resolves, the job cannot be lost.
   *
   * @throws DatabaseUnavailableError, OverloadedError: it is not known to be accepted.
   */
  insert(record: NewRecord): Promise<InsertedRecord> {
    return this.inserts.add(record);
  }

  /** As {@link insert}, unless another job holds the record's key. */
  insertKeyed(record: KeyedRecord): Promise<KeyedInsert> {
    return this.keyedInserts.add(record);
  }

  /**
   * Records many jobs in one statement, all or none. In a transaction of the caller's own the relay publishes them, at
   * the earliest when it commits.
   *
   * @throws DatabaseUnavailableError
   */
  async insertMany(
    records: readonly NewRecord[],
    transaction?: Queryable,
    graceMs = transaction ? 0 : PRODUCER_GRACE_MS,
  ): Promise<InsertedRecord[]> {
    const { rows } = await (transaction ?? this.database).query(sql.insert(records, graceMs));
    const [{ nowMs }] = rows as [{ nowMs: number }];
    return records.map((record) => insertedAs(record, nowMs));
  }

  /** Records jobs, with keys and without, all or none; in a transaction of the caller's own where one is given. */
  insertAll(
    records: readonly (NewRecord & { key?: JobKey })[],
    transaction?: Queryable,
  ): Promise<KeyedInsert[]> {
    const keyed = records.filter((record): record is KeyedRecord => record.key !== undefined);
    const others = records.filter(({ key }) => !key);
    const graceMs = transaction ? 0 : PRODUCER_GRACE_MS;
    const insert = async (queryable: Queryable) => {
      const outcomes = new Map<NewRecord, KeyedInsert>();
      const inserted = others.length > 0 ? await this.insertMany(others, queryable, graceMs) : [];
      for (const [index, record] of others.entries())
        outcomes.set(record, { inserted: inserted[index] as InsertedRecord });
      const held = keyed.length > 0 ? await insertKeyed(queryable, keyed, graceMs) : [];
      for (const [index, record] of keyed.entries()) outcomes.set(record, held[index] as KeyedInsert);
      return records.map((record) => outcomes.get(record) as KeyedInsert);
    };
    if (transaction) return insert(transaction);
    return keyed.length === 0 ? insert(this.database) : this.database.transaction(insert);
  }

  /** Whether a delivered job would start if it were claimed now: for who has something to do before that. */
  wouldStart(request: ClaimRequest): Promise<boolean> {
    return this.looks.add(request);
  }

  /**
   * Takes a delivered job for this worker, or says why not: it has ended, another worker has it, or the message is
   * older than the record. This is what makes a second delivery harmless.
   */
  claim(request: ClaimRequest): Promise<Claim> {
    return this.claims.add(request);
  }

  /**
   * Puts a delivered job off: the relay publishes it again when its time has come, and no attempt is used up. Does
   * nothing for a message that could not be claimed.
   */
  postpone(postponement: Postponement): Promise<void> {
    return this.postponements.add(postponement);
  }

  /**
   * Records how a claim ended.
   *
   * @returns the state that the job is in now, also when it was written before and only the answer was lost: `cancelled`
   *   when that was asked for meanwhile. Null when the claim was lost to another worker; nothing is written then.
   */
  settle(settlement: Settlement): Promise<JobState | null> {
    return this.settlements.add(settlement);
  }

  async progress(
    updates: readonly { id: string; claim: number; progress: number; note: string | null }[],
  ): Promise<void> {
    await this.database.query({
      name: 'progress',
      text: `
        update jobs j set progress = u.progress, progress_note = u.note
        from unnest($1::uuid[], $2::int[], $3::real[], $4::text[]) as u (id, claim, progress, note)
        where j.id = u.id and j.claim = u.claim and ${sql.STATE} = 'running'`,
      values: columns(updates, 'id', 'claim', 'progress', 'note'),
    });
  }

  /**
   * Cancels jobs: those that wait end at once, those that run are told by their workers.
   *
   * @returns the jobs that were not final yet, each with its state now.
   */
  async cancel(ids: readonly string[]): Promise<{ id: string; state: JobState }[]> {
    return rowsOf(this.database, {
      name: 'cancel',
      text: `
        update jobs j set ${CANCEL}
        where j.id = any ($1::uuid[]) and j.state in (${OPEN_STATES})
        returning j.id, j.state`,
      values: [ids],
    });
  }

  /** Cancels what has not ended of a batch, in pages. Killed half-way, the same call goes on with the rest. */
  async cancelBatch(batch: string): Promise<void> {
    for (;;) {
      const rows = await rowsOf<{ id: string }>(this.database, {
        name: 'batch-cancellable',
        text: `
          select id from jobs where batch = $1 and state in (${OPEN_STATES}) and cancel_requested_at is null limit $2`,
        values: [batch, CANCEL_PAGE],
      });
      if (rows.length === 0) return;
      await this.cancel(rows.map(({ id }) => id));
    }
  }

  /** The running jobs of this worker that somebody wants to stop. */
  async cancelling(): Promise<{ id: string; claim: number }[]> {
    return rowsOf(this.database, {
      name: 'cancelling',
      text: `
        select id, claim from jobs
        where worker = $1 and cancel_requested_at is not null and state = 'running'`,
      values: [await this.lock.id()],
    });
  }

  private async postponeAll(postponements: Postponement[]): Promise<undefined[]> {
    const { rows } = await this.database.query<{ id: string }>(claiming.postpone(postponements));
    const unknown = new Set(rows.map(({ id }) => id));
    const arrived = postponements.filter(({ id, record }) => record && unknown.has(id));
    if (arrived.length > 0) {
      await this.insertMany(arrived.map(({ record }) => record as NewRecord));
      await this.database.query(claiming.postpone(arrived));
    }
    return postponements.map(() => undefined);
  }

  private async settleAll(settlements: Settlement[]): Promise<(JobState | null)[]> {
    const isPlain = ({ state, isFollowed, used }: Settlement) =>
      state === 'succeeded' && !isFollowed && !used;
    const successes = settlements.filter(isPlain);
    const isWritten = successes.length > 0 && (await this.succeedAll(successes));
    const left = isWritten ? settlements.filter((settlement) => !isPlain(settlement)) : settlements;
    const states = left.length > 0 ? await this.statesAfter(left) : new Map<string, JobState>();
    return settlements.map((settlement) =>
      isWritten && isPlain(settlement) ? 'succeeded' : (states.get(claimOf(settlement)) ?? null),
    );
  }

  /** @returns whether all of them have been written. */
  private async succeedAll(successes: Settlement[]): Promise<boolean> {
    const { rowCount } = await this.database.query(sql.succeed(successes));
    return rowCount === successes.length;
  }

  /** Settles in whatever way, and finds out in which state each job is then. */
  private async statesAfter(settlements: Settlement[]): Promise<Map<string, JobState>> {
    const { rows } = await this.database.query<{ id: string; claim: number; state: JobState }>(
      sql.settle(settlements, this.lock.name),
    );
    return new Map(rows.map((row) => [claimOf(row), row.state]));
  }
}

const claimOf = ({ id, claim }: Pick<Settlement, 'id' | 'claim'>) => `${id}/${claim}`;
