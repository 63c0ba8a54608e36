import { v7 as uuid } from 'uuid';
import {
  type AnyContract,
  type BatchHandler,
  Contracts,
  Encryption,
  type Handler,
  type PayloadInput,
  type ResultOf,
  toJson,
} from '#jobs';
import type { AttemptView, JobState, Previous } from '#records';
import { MemoryStore } from './memory-store.js';
import { callOne, MemoryWorker, memorySettings } from './memory-worker.js';

const encryption = new Encryption(memorySettings);

/** What is particular about an attempt that {@link runJob} runs. */
export interface RunOptions {
  id?: string;
  /** 1 when absent. */
  attempt?: number;
  /** The version that the payload is of, to try an upgrade; the contract's own when absent. */
  version?: number;
  /** What the job follows. */
  previous?: Previous;
  /** Cancels the job when it is aborted, as `POST /jobs/{id}/cancel` would. */
  cancel?: AbortSignal;
}

export interface JobRun<C extends AnyContract> {
  id: string;
  /** `succeeded`; `retrying` and `dead` when it failed; `scheduled` when it was snoozed; or `cancelled`. */
  state: JobState;
  /** What the handler returned, as anyone who asks for the job gets it. */
  result?: ResultOf<C>;
  /** What the attempt died of, as the record keeps it. */
  error?: NonNullable<AttemptView['error']>;
  /** How long the job waits for its next attempt: the contract's delay, the handler's own, or its snooze. */
  runInMs?: number;
  /** All that the handler told of its progress. */
  progress: { fraction: number; note?: string }[];
}

/**
 * Runs one attempt of a job as a worker would, with neither broker nor database: the payload is checked against the
 * contract, the handler runs within its time, its result is checked, and what follows is decided. Never throws for
 * what the handler does.
 *
 * ```ts
 * const run = await runJob(SendEmail, new SendEmailHandler(mailer), { to, subject, text });
 * expect(run).toMatchObject({ state: 'succeeded', result: { messageId: '<1@example.org>' } });
 * ```
 *
 * @param handler made by its constructor, or by Nest's testing module: `module.get(SendEmailHandler)`. Guards, pipes,
 * interceptors and filters do not run; `InlineJobs` runs them.
 */
export function runJob<C extends AnyContract>(
  contract: C,
  handler: Handler<C>,
  payload: PayloadInput<C>,
  options?: RunOptions,
): Promise<JobRun<C>>;
export function runJob<C extends AnyContract>(
  contract: C,
  handler: BatchHandler<C>,
  payload: PayloadInput<C>,
  options?: RunOptions,
): Promise<JobRun<C>>;
export async function runJob<C extends AnyContract>(
  contract: C,
  handler: Handler<C> | BatchHandler<C>,
  payload: PayloadInput<C>,
  { id = uuid(), attempt = 1, version = contract.version, previous, cancel }: RunOptions = {},
): Promise<JobRun<C>> {
  const records = new MemoryStore();
  const worker = new MemoryWorker(new Contracts([contract]), records);
  const { name, queue, retry } = contract;
  const accepted = {
    id,
    name,
    queue,
    version,
    payload: toJson(payload, memorySettings.MAX_PAYLOAD, '/payload'),
    previous,
  };
  await records.insert({ ...accepted, maxAttempts: retry.maxAttempts });
  const job = records.get(id);
  job.attempt = attempt - 1;

  const stop = () => worker.cancel(id);
  worker.register(contract, (context) => {
    cancel?.addEventListener('abort', stop);
    if (cancel?.aborted) stop();
    return callOne(handler, context);
  });
  await worker.attempt(id);
  cancel?.removeEventListener('abort', stop);

  const { state, result, errors, progress, runInMs } = job;
  const [failure] = errors;
  return {
    ...{ id, state, progress },
    ...(result !== null && { result: encryption.open(contract, 'result', JSON.parse(result)) }),
    ...(failure && { error: JSON.parse(failure.error) }),
    ...(runInMs > 0 && { runInMs }),
  };
}
