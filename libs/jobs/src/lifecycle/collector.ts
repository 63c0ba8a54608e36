import { types } from 'node:util';
import { toMilliseconds } from '#define-job';
import type { BatchSize, JobContext } from '../handler.js';

interface Waiting {
  job: JobContext;
  /** The call begins. */
  begin(): void;
  /** Told to stop before that. */
  leave(): void;
  resolve(result: unknown): void;
  reject(reason: unknown): void;
}

/** Hands jobs to a handler that takes many in one call. Each is run, and ends, on its own. */
export class Collector {
  private waiting: Waiting[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** @param call what takes the jobs, and gives a map of what became of each. */
  constructor(
    private readonly call: (jobs: readonly JobContext[]) => Promise<unknown>,
    private readonly batch: BatchSize,
  ) {}

  /**
   * Runs a job with others.
   *
   * @param begin called when it need not wait for others any more.
   * @returns what the handler returned for it. @throws what it returned for it, or threw for all.
   */
  run(job: JobContext, begin: () => void): Promise<unknown> {
    job.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.waiting = this.waiting.filter((one) => one.job !== job);
        reject(job.signal.reason);
      };
      job.signal.addEventListener('abort', leave, { once: true });
      this.waiting.push({ job, begin, leave, resolve, reject });
      if (this.waiting.length >= this.batch.size) void this.flush();
      else this.timer ??= setTimeout(() => void this.flush(), toMilliseconds(this.batch.within));
    });
  }

  private async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const together = this.waiting;
    this.waiting = [];
    if (together.length === 0) return;
    for (const { job, begin, leave } of together) {
      job.signal.removeEventListener('abort', leave);
      begin();
    }
    try {
      const results = await this.call(together.map(({ job }) => job));
      for (const { job, resolve, reject } of together) {
        try {
          resolve(resultOf(results, job));
        } catch (error) {
          reject(error);
        }
      }
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }
}

/** What a handler of many jobs returned for one. @throws the error that it returned for it, or why it returned nothing. */
export function resultOf(results: unknown, { id }: Pick<JobContext, 'id'>): unknown {
  if (!(results instanceof Map))
    throw new TypeError(
      'The handler takes many jobs in one call: return a Map from the id of each to its result',
    );
  if (!results.has(id))
    throw new Error('The handler returned neither a result nor an error for this job: put one under its id');
  const result = results.get(id);
  if (types.isNativeError(result) || result instanceof Error) throw result;
  return result;
}
