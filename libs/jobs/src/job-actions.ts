import type { Settings } from '#config';
import {
  type AnyContract,
  type Duration,
  type JobState,
  NonRetryableError,
  type ResultOf,
} from '#define-job';
import {
  type BulkStore,
  type Done,
  type Edit,
  hasEnded,
  InputError,
  type JobFilter,
  type JobQueries,
  type JobStore,
  type JobView,
  type NewRecord,
  type NextRecord,
  type RateOptions,
  type StoredJob,
} from '#records';
import { Id } from '#resources';
import type { Contracts } from './contracts.js';
import { editedPayload, isEdit, type PayloadEdit } from './edit.js';
import { Encryption } from './encryption.js';
import { readDelay } from './enqueue-options.js';
import {
  JobFailedError,
  NotEndedError,
  PayloadError,
  ResultTimeoutError,
  UnknownContractError,
  UnknownJobError,
} from './errors.js';
import { newJobId } from './job-id.js';
import type { JobWatcher } from './job-watcher.js';
import { creating } from './lifecycle/spans.js';
import { attemptsOf } from './own-options.js';
import { parseOrThrow } from './payload.js';

/** A job of a contract, by its id; what enqueued it knows the contract. */
export interface JobOf<C extends AnyContract> {
  id: string;
  /** There for types only. */
  contract?: C;
}

export interface ResultOptions {
  /** How long to wait for the end of the job; 30 s when absent. */
  timeout?: Duration | number;
  /** Ends the wait, such as the signal of the handler that waits. */
  signal?: AbortSignal;
}

/** What can be done with jobs that were enqueued before. */
export abstract class JobActions {
  protected readonly encryption: Encryption;

  constructor(
    protected readonly settings: Settings,
    protected readonly contracts: Contracts,
    protected readonly store: JobStore,
    protected readonly queries: JobQueries,
    protected readonly watcher: JobWatcher,
    private readonly bulk: BulkStore,
  ) {
    this.encryption = new Encryption(settings);
  }

  /** The contract of a name. @throws UnknownContractError */
  contract(name: string): AnyContract {
    const contract = this.contracts.find(name);
    if (!contract) throw new UnknownContractError(name);
    return contract;
  }

  hasQueue(name: string): boolean {
    return this.contracts.queues.has(name);
  }

  hasPriorities(name: string): boolean {
    return this.contracts.prioritised.has(name);
  }

  /** Records a job and publishes it. */
  protected abstract accept(record: NewRecord): Promise<JobView & { isNew: boolean }>;

  /** A job as `GET /jobs/{id}` shows it, without its secrets. */
  async find(id: string): Promise<JobView | undefined> {
    return Id.safeParse(id).success ? this.queries.find(id) : undefined;
  }

  /**
   * Cancels jobs. Those that wait end at once; those that run are told, and are cancelled when their handlers end.
   *
   * @returns those that had not ended, each with its state now.
   */
  cancel(ids: string | readonly string[]): Promise<{ id: string; state: JobState }[]> {
    const all = [ids].flat();
    for (const id of all) checkId('ids', id);
    return this.store.cancel(all);
  }

  /**
   * Waits for a job, and returns what its handler returned, as the contract's schema has it.
   *
   * ```ts
   * const { messageId } = await this.jobs.result(await this.jobs.enqueue(SendEmail, mail), { timeout: '10s' });
   * ```
   *
   * A handler that waits keeps its slot: let it not wait for a job of its own queue.
   *
   * @throws JobFailedError when it is dead, discarded or cancelled; ResultTimeoutError when the time is over, or the app
   * stops; UnknownJobError; what `signal` is aborted with.
   */
  async result<C extends AnyContract>(
    { id }: JobOf<C>,
    { timeout = '30s', signal }: ResultOptions = {},
  ): Promise<ResultOf<C>> {
    checkId('id', id);
    const withinMs = readDelay('timeout', timeout);
    signal?.throwIfAborted();
    let outcome = await this.queries.outcomeOf(id);
    if (outcome && !hasEnded(outcome.state) && (await this.watcher.ended(id, withinMs, { signal })))
      outcome = await this.queries.outcomeOf(id);
    signal?.throwIfAborted();
    if (!outcome) throw new UnknownJobError(id);
    const { name, state, result } = outcome;
    if (state === 'succeeded') {
      const contract = this.contract(name);
      return parseOrThrow(
        contract,
        'result',
        this.encryption.open(contract, 'result', result),
      ) as ResultOf<C>;
    }
    const job = hasEnded(state) && (await this.queries.find(id));
    throw job ? new JobFailedError(job) : new ResultTimeoutError(id, timeout);
  }

  /**
   * Enqueues a job that has ended once more, as a new one that names the old one as `rerunOf`: with its queue, priority,
   * tags, options and what follows it, and none of its keys. The old one stays as it is.
   *
   * @throws UnknownJobError, NotEndedError; ContractViolationError, PayloadError when the payload does not fit.
   */
  async rerun(id: string, edit: PayloadEdit = {}): Promise<JobView> {
    const job = Id.safeParse(id).success ? await this.queries.stored(id) : undefined;
    if (!job) throw new UnknownJobError(id);
    if (!hasEnded(job.state)) throw new NotEndedError(job);
    const { isNew: _, ...made } = await this.accept(this.rerunOf(job, edit));
    return made;
  }

  /**
   * The same of all that a filter means, so many in each second, but for those that were enqueued again before: killed
   * half-way, the same call goes on with the rest.
   *
   * @returns how many; and how many were left out since their payload does not fit, or nobody knows their contract.
   */
  rerunAll(
    filter: JobFilter,
    { patch, ...options }: Pick<PayloadEdit, 'patch'> & RateOptions = {},
  ): Promise<Required<Done>> {
    return this.bulk.rerun(
      filter,
      unlessMisfit((job) => this.rerunOf(job, { patch })),
      options,
    );
  }

  /**
   * How dead letters are edited before they are replayed: for `DeadJobStore.replayAll`.
   *
   * @param isOne what does not fit is an error then, and else left out.
   */
  editOf(edit: PayloadEdit, isOne = false): Edit | undefined {
    if (!isEdit(edit)) return undefined;
    const make: Edit = (job) => ({ ...job, ...this.again(job, edit) });
    return isOne ? make : unlessMisfit(make);
  }

  /** What of a job that is to run again may be another than it was. */
  private again(
    job: Pick<StoredJob, 'name' | 'queue' | 'payload' | 'version' | 'options'>,
    edit: PayloadEdit,
  ) {
    const contract = this.contract(job.name);
    return {
      queue: this.hasQueue(job.queue) ? job.queue : contract.queue,
      ...editedPayload(contract, job, edit, this.encryption, this.settings.MAX_PAYLOAD),
      maxAttempts: attemptsOf(contract, job.options),
    };
  }

  private rerunOf(job: StoredJob, edit: PayloadEdit): NewRecord {
    const { name } = this.contract(job.name);
    const again = this.again(job, edit);
    const step = creating(name);
    step.end();
    return {
      ...{ id: newJobId(), name, rerunOf: job.id, ...again },
      priority: this.hasPriorities(again.queue) ? job.priority : undefined,
      options: job.options ?? undefined,
      tags: job.tags ?? undefined,
      next: job.next ? renewed(job.next) : undefined,
      previous: job.previous ?? undefined,
      traceparent: step.traceparent,
    };
  }
}

/** What follows a job follows its rerun, too: as jobs of their own. */
const renewed = ({ next, ...record }: NextRecord): NextRecord => ({
  ...record,
  id: newJobId(),
  next: next && renewed(next),
});

const unlessMisfit =
  <Job, Made>(make: (job: Job) => Made | undefined) =>
  (job: Job): Made | undefined => {
    try {
      return make(job);
    } catch (error) {
      if (error instanceof NonRetryableError || error instanceof PayloadError) return undefined;
      throw error;
    }
  };

function checkId(option: string, id: unknown): void {
  if (!Id.safeParse(id).success) throw new InputError(option, 'must be the id of a job, a UUID');
}
