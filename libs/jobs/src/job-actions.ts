import type { AnyContract, Duration, JobState, ResultOf } from '#define-job';
import { hasEnded, InputError, type JobQueries, type JobStore, type JobView } from '#records';
import { Id } from '#resources';
import type { Encryption } from './encryption.js';
import { readDelay } from './enqueue-options.js';
import { JobFailedError, ResultTimeoutError, UnknownJobError } from './errors.js';
import type { JobWatcher } from './job-watcher.js';
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
  constructor(
    protected readonly store: JobStore,
    protected readonly queries: JobQueries,
    protected readonly watcher: JobWatcher,
    protected readonly encryption: Encryption,
  ) {}

  protected abstract contract(name: string): AnyContract;

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
}

function checkId(option: string, id: unknown): void {
  if (!Id.safeParse(id).success) throw new InputError(option, 'must be the id of a job, a UUID');
}
