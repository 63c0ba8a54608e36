import type { z } from 'zod';
import {
  type AnyContract,
  type Duration,
  type GivenOptions,
  hasEnded,
  type JobState,
  type NextOptions,
  type PayloadInput,
  type ResultOf,
} from '#define-job';
import type { JobView, LogLine } from '#resources';
import { bulkCalls } from './bulk.js';
import { type JobEvent, readEvents } from './events.js';
import { type Connection, type Send, sender } from './requests.js';

/** The longest that the api holds a request open. */
const WAIT_S = 30;

/** A job as the api tells of it: times are texts, and the result is null before the job has succeeded. */
export type Job<C extends AnyContract> = C extends AnyContract
  ? Omit<z.input<typeof JobView>, 'name' | 'payload' | 'result'> & {
      name: C['name'];
      payload: PayloadInput<C>;
      result: ResultOf<C> | null;
    }
  : never;

/** The contract of a name. */
export type Named<C extends AnyContract, Name> = Extract<C, { name: Name }>;

/** A job that follows another one. */
export interface Next<C extends AnyContract, Name extends C['name'] = C['name']> {
  name: Name;
  payload: PayloadInput<Named<C, Name>>;
  options?: Omit<NextOptions, 'next'> & { next?: Next<C> };
}

/** `unique` and `debounce` exclude an Idempotency-Key; a request with `unique` is not sent again by itself. */
export interface EnqueueOptions<C extends AnyContract> extends Omit<GivenOptions, 'runAt' | 'next'> {
  runAt?: Date | string;
  /** To enqueue once, even if the caller begins again; each call has one of its own when absent. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  next?: Next<C>;
  /** For how many seconds to wait for the end of the job, at most 30. */
  wait?: number;
}

/** One of the jobs of `enqueueAll`. */
export type JobToEnqueue<C extends AnyContract> = C extends AnyContract
  ? {
      name: C['name'];
      payload: PayloadInput<C>;
      options?: Omit<EnqueueOptions<C>, 'idempotencyKey' | 'signal' | 'wait'>;
    }
  : never;

/** Which jobs are meant; at least one of these has to be said. */
export interface ManyJobs<C extends AnyContract> {
  ids?: readonly string[];
  name?: C['name'];
  queue?: string;
  tag?: string;
  state?: JobState;
  where?: string;
  error?: string;
  from?: Date | string;
  to?: Date | string;
}

/** The job has ended, and not well. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
  constructor(readonly job: Job<AnyContract>) {
    super(`The job ${job.id} is ${job.state}: ${job.error?.message ?? 'it was not run to its end'}`);
  }
}

/**
 * Makes a client of the api, for another service or a browser. What meets a network error, 429 or 503 is sent again,
 * and nothing is enqueued twice by that.
 *
 * @param options with the contracts, as they are imported, for their types: the api checks what is sent.
 */
export function createClient<M>(options: Connection & { contracts?: M }) {
  type C = Extract<M[keyof M], AnyContract>;
  const send = sender(options);
  return Object.assign(new JobCalls<C>(send), {
    // One a line, for `npm run remove` to take out.
    ...bulkCalls<C>(send),
  });
}

const pathOf = (id: string, call = '') => `/jobs/${encodeURIComponent(id)}${call}`;

class JobCalls<C extends AnyContract> {
  constructor(private readonly send: Send) {}

  /** Enqueues a job. Once this resolves it cannot be lost. */
  enqueue<Name extends C['name']>(
    name: Name,
    payload: PayloadInput<Named<C, Name>>,
    { idempotencyKey = crypto.randomUUID(), signal, wait, ...options }: EnqueueOptions<C> = {},
  ): Promise<Job<Named<C, Name>>> {
    const isOnce = options.unique !== undefined;
    const headers = {
      'idempotency-key': isOnce || options.debounce ? undefined : idempotencyKey,
      prefer: wait ? `wait=${wait}` : undefined,
    };
    return this.send('/jobs', { method: 'POST', body: { name, payload, options }, headers, signal, isOnce });
  }

  /** Enqueues a job and waits for its result, however long it takes. @throws JobFailedError */
  async run<Name extends C['name']>(
    name: Name,
    payload: PayloadInput<Named<C, Name>>,
    options: EnqueueOptions<C> = {},
  ): Promise<ResultOf<Named<C, Name>>> {
    let job: Job<AnyContract> = await this.enqueue(name, payload, { wait: WAIT_S, ...options });
    if (!hasEnded(job.state)) {
      for await (const _ of this.watch(job.id, options.signal));
      job = await this.get(job.id, options.signal);
    }
    if (job.state !== 'succeeded') throw new JobFailedError(job);
    return job.result;
  }

  get(id: string, signal?: AbortSignal): Promise<Job<C>> {
    return this.send(pathOf(id), { signal });
  }

  /** What its handler logged, oldest first: the newest 1,000 lines at most. */
  async log(
    id: string,
    { attempt, signal }: { attempt?: number; signal?: AbortSignal } = {},
  ): Promise<z.input<typeof LogLine>[]> {
    const query = attempt === undefined ? '' : `?attempt=${attempt}`;
    return (await this.send(pathOf(id, `/log${query}`), { signal })).items;
  }

  /** One page of jobs, newest first; `next` is the `cursor` of the page after it. */
  list<Name extends C['name']>(
    filter: Partial<Record<'queue' | 'batch' | 'tag' | 'where' | 'cursor', string>> & {
      name?: Name;
      state?: JobState;
      limit?: number;
    },
  ): Promise<{ items: Job<Named<C, Name>>[]; next: string | null }> {
    return this.send(`/jobs?${new URLSearchParams(JSON.parse(JSON.stringify(filter)))}`);
  }

  /** Cancels a job that waits; tells one that runs. @throws ProblemError when it has ended. */
  cancel(id: string): Promise<Job<C>> {
    return this.send(pathOf(id, '/cancel'), { method: 'POST' });
  }

  /** Enqueues a job that has ended again, as a new one, maybe with another payload. It is sent once only. @throws ProblemError */
  rerun(id: string, edit: { payload?: unknown; patch?: unknown } = {}): Promise<Job<C>> {
    return this.send(pathOf(id, '/rerun'), { method: 'POST', body: edit, isOnce: true });
  }

  /** Does something to all jobs that a filter means. @returns how many; `leftOut` are those that could not be enqueued again. */
  many(
    action: 'cancel' | 'reschedule' | 'rerun',
    filter: ManyJobs<C> & { delay?: Duration | number; runAt?: Date; patch?: unknown; perSecond?: number },
  ): Promise<{ count: number; leftOut?: number }> {
    return this.send(`/jobs/${action}`, { method: 'POST', body: filter });
  }

  /** Enqueues jobs of any contracts, all or none. It is sent once only, as keys are those of the jobs. */
  async enqueueAll(jobs: readonly JobToEnqueue<C>[]): Promise<{ id: string; state: JobState }[]> {
    return (await this.send('/jobs/bulk', { method: 'POST', body: { jobs }, isOnce: true })).items;
  }

  /** What happens to a job, from its beginning until it has ended. A connection that breaks is made again. */
  async *watch(id: string, signal?: AbortSignal): AsyncGenerator<JobEvent> {
    for (let last: string | undefined; ; ) {
      const headers = { 'last-event-id': last };
      const stream = await this.send(pathOf(id, '/events'), { headers, signal, isStream: true });
      // The last event was that of its end.
      if (!stream) return;
      try {
        for await (const { id, event } of readEvents(stream)) {
          last = id;
          yield event;
          if (event.type === 'state' && hasEnded(event.state)) return;
        }
      } catch (error) {
        if (signal?.aborted) throw error;
      }
    }
  }
}
