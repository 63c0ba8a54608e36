import { Injectable } from '@nestjs/common';
import { Settings } from '#config';
import {
  type AnyContract,
  ContractError,
  FIRST_VERSION,
  type GivenOptions,
  type JobToEnqueue,
  MAX_CHAIN,
  type NextJob,
  type PayloadInput,
} from '#define-job';
import {
  BulkStore,
  type InsertedRecord,
  type JobKey,
  JobQueries,
  JobStore,
  type JobView,
  type NewRecord,
  type NextRecord,
  type Queryable,
  Redaction,
  viewOfNew,
} from '#records';
import { Contracts } from './contracts.js';
import { EnqueueHooks } from './enqueue-hooks.js';
import { type EnqueueOptions, keyOf, placeOf } from './enqueue-options.js';
import { ContractViolationError, IdempotencyConflictError, PayloadError, type Violation } from './errors.js';
import { JobActions, type JobOf } from './job-actions.js';
import { newJobId } from './job-id.js';
import { JobWatcher } from './job-watcher.js';
import { meterOf } from './lifecycle/meter.js';
import { creating } from './lifecycle/spans.js';
import { Outbox } from './outbox.js';
import { attemptsOf, keptOptions } from './own-options.js';
import { fittingJson } from './payload.js';
import { publishMany, publishNew } from './publish-new.js';

export interface EnqueuedJob<C extends AnyContract = AnyContract> extends JobView, JobOf<C> {
  /** False when its key was held by this job already, so that no second one was made. */
  isNew: boolean;
}

/** How many violations are told of many payloads. */
const MAX_VIOLATIONS = 20;

/** The producer: how jobs are put in, and looked after. */
@Injectable()
export class Jobs extends JobActions {
  constructor(
    settings: Settings,
    contracts: Contracts,
    store: JobStore,
    queries: JobQueries,
    private readonly outbox: Outbox,
    private readonly redaction: Redaction,
    watcher: JobWatcher,
    bulk: BulkStore,
    protected readonly hooks: EnqueueHooks,
  ) {
    super(settings, contracts, store, queries, watcher, bulk);
  }

  /**
   * Accepts a job. Once this resolves the job is recorded and cannot be lost; its message goes out at once, or with
   * the relay when no broker answers. While the broker confirms more slowly than jobs come it takes up to 250 ms longer.
   *
   * @throws ContractViolationError, PayloadError when the payload cannot be accepted; InputError when an option cannot.
   * @throws ContractError when it is to have a priority in a queue without any.
   * @throws IdempotencyConflictError when the idempotency key came before, with another payload.
   * @throws DatabaseUnavailableError, OverloadedError when it could not be recorded; try again later.
   */
  async enqueue<C extends AnyContract>(
    contract: C,
    payload: PayloadInput<C>,
    options: EnqueueOptions = {},
  ): Promise<EnqueuedJob<C>> {
    const record = this.prepare(contract, payload, options);
    const key = keyOf(contract, record, options);
    if (key) return this.enqueueKeyed({ ...record, key }, options.transaction);
    if (options.transaction) {
      const [inserted] = await this.store.insertMany([record], options.transaction);
      meterOf(contract).enqueued();
      return this.show(record, inserted as InsertedRecord, undefined);
    }
    return this.accept(record);
  }

  protected async accept(record: NewRecord): Promise<EnqueuedJob<never>> {
    const inserted = await this.store.insert(record);
    meterOf(record).enqueued();
    if (inserted.state === 'queued') await publishNew(this.outbox, record);
    return this.show(record, inserted, await this.queries.recentQueueFacts());
  }

  /**
   * Accepts many jobs of one contract, all or none, in one statement; {@link enqueueAll} takes options of their own.
   *
   * @throws as {@link enqueue}
   */
  async enqueueMany<C extends AnyContract>(
    contract: C,
    payloads: readonly PayloadInput<C>[],
    options: Omit<EnqueueOptions, 'idempotencyKey' | 'client' | 'unique' | 'debounce'> = {},
  ): Promise<EnqueuedJob<C>[]> {
    const records = payloads.map((payload) => this.prepare(contract, payload, options));
    const inserted = await this.store.insertMany(records, options.transaction);
    meterOf(contract).enqueued(records.length);
    if (!options.transaction)
      await this.publishMany(records.filter((_, index) => inserted[index]?.state === 'queued'));
    // In a transaction of the caller's own there may be no other connection.
    const facts = options.transaction ? undefined : await this.queries.recentQueueFacts();
    return records.map((record, index) => this.show(record, inserted[index] as InsertedRecord, facts));
  }

  /**
   * Accepts jobs of any contracts, all or none, each with options of its own. Of one whose unique key another job holds,
   * that job is returned.
   *
   * ```ts
   * await this.jobs.enqueueAll([job(SendEmail, mail, { delay: '10m' }), job(Reindex, { id }, { unique: { key: id } })]);
   * ```
   *
   * @throws as {@link enqueue}; the pointers of violations are such as `/jobs/17/payload/to`.
   */
  async enqueueAll(
    jobs: readonly JobToEnqueue[],
    { transaction }: Pick<EnqueueOptions, 'transaction'> = {},
  ): Promise<Pick<EnqueuedJob, 'id' | 'state' | 'isNew'>[]> {
    const records = this.prepareAll(jobs, (index) => `/jobs/${index}/payload`);
    const outcomes = await this.store.insertAll(records, transaction);
    const inserted = (index: number) => outcomes[index]?.inserted;
    for (const record of records.filter((_, index) => inserted(index))) meterOf(record).enqueued();
    if (!transaction)
      await this.publishMany(records.filter((_, index) => inserted(index)?.state === 'queued'));
    return outcomes.map(({ inserted, heldBy }) =>
      inserted
        ? { id: inserted.id, state: inserted.state, isNew: true }
        : { id: heldBy.job, state: heldBy.state, isNew: false },
    );
  }

  /**
   * As {@link prepare}, for many.
   *
   * @param pointerOf where in the caller's request the payload of a job stands.
   * @throws ContractViolationError with the first violations of all of them.
   */
  prepareAll(
    jobs: readonly JobToEnqueue[],
    pointerOf: (index: number) => string,
  ): (NewRecord & { key?: JobKey })[] {
    const violations: Violation[] = [];
    const misfits = new Set<string>();
    const records: (NewRecord & { key?: JobKey })[] = [];
    for (const [index, { contract, payload, options = {} }] of jobs.entries()) {
      try {
        const record = this.prepare(contract, payload, options, pointerOf(index));
        const key = keyOf(contract, record, options);
        records.push(key ? { ...record, key } : record);
      } catch (error) {
        if (!(error instanceof ContractViolationError)) throw error;
        violations.push(...error.violations);
        misfits.add(contract.name);
        if (violations.length >= MAX_VIOLATIONS) break;
      }
    }
    if (violations.length === 0) return records;
    const names = [...misfits].join(', ');
    throw new ContractViolationError(names, 'payload', violations.slice(0, MAX_VIOLATIONS));
  }

  /**
   * Checks a job and makes its record, which is recorded nowhere yet: for what records jobs in its own way.
   *
   * @param pointer where in the caller's request the payload stands, for errors.
   * @throws ContractViolationError, PayloadError when the payload cannot be accepted; InputError when an option cannot;
   * what a hook throws.
   */
  prepare(
    contract: AnyContract,
    payload: unknown,
    options: Omit<GivenOptions, 'unique'> = {},
    pointer = '/payload',
  ): NewRecord {
    if (this.hooks.all.length > 0) ({ payload, options } = this.hooks.apply({ contract, payload, options }));
    const { queue, priority, next } = options;
    const place = placeOf(options);
    const kept = keptOptions(options, contract);
    // The payload as it was given: the handler's side applies defaults and transformations, once.
    const stored = fittingJson(contract, 'payload', payload, this.settings.MAX_PAYLOAD, pointer);
    const home = queue ?? contract.queue;
    if (priority && !this.hasPriorities(home)) {
      throw new ContractError(
        `The queue "${home}" has no priorities: set \`priorities: true\` on one of its contracts`,
      );
    }
    const step = creating(contract.name);
    const record = {
      id: newJobId(),
      name: contract.name,
      queue: home,
      payload: this.encryption.seal(contract, 'payload', stored),
      maxAttempts: attemptsOf(contract, kept),
      ...(contract.version !== FIRST_VERSION && { version: contract.version }),
      ...place,
      ...(kept && { options: kept }),
      next: next && step.run(() => this.prepareNext(next, '/options/next', place.tags)),
      traceparent: step.traceparent,
    };
    step.end();
    return record;
  }

  /** The same for a job that follows others. Its id is given here, so that it cannot be made twice. */
  prepareNext(
    { contract, payload, options }: NextJob,
    pointer: string,
    inherited?: readonly string[],
    place = 1,
  ): NextRecord {
    if (place > MAX_CHAIN) throw new PayloadError(`${pointer}: a chain has at most ${MAX_CHAIN} jobs`);
    const { next, tags = inherited, ...own } = options;
    return {
      ...this.prepare(contract, payload, { ...own, tags }, `${pointer}/payload`),
      next: next && this.prepareNext(next, `${pointer}/options/next`, tags, place + 1),
    };
  }

  private async enqueueKeyed(
    record: NewRecord & { key: JobKey },
    transaction: Queryable | undefined,
  ): Promise<EnqueuedJob<never>> {
    const outcome = transaction
      ? (await this.store.insertAll([record], transaction))[0]
      : await this.store.insertKeyed(record);
    if (outcome?.inserted) {
      meterOf(record).enqueued();
      if (!transaction && outcome.inserted.state === 'queued') await publishNew(this.outbox, record);
      return this.show(
        record,
        outcome.inserted,
        transaction ? undefined : await this.queries.recentQueueFacts(),
      );
    }
    const { job = '', fingerprint = null } = outcome?.heldBy ?? {};
    if (fingerprint !== (record.key.fingerprint ?? null)) throw new IdempotencyConflictError(job);
    const existing = await this.queries.find(job);
    // The job was just pruned, and the key with it.
    if (!existing) return this.enqueueKeyed(record, transaction);
    return { ...existing, isNew: false };
  }

  /** Publishes recorded jobs, and makes the caller wait only while the broker is slower. Never throws. */
  async publishMany(records: readonly NewRecord[]): Promise<void> {
    await publishMany(this.outbox, records);
  }

  private show(
    record: NewRecord,
    inserted: InsertedRecord,
    facts: Awaited<ReturnType<JobQueries['recentQueueFacts']>>,
  ): EnqueuedJob<never> {
    return { ...this.redaction.redact(viewOfNew(record, inserted, facts)), isNew: true };
  }
}
