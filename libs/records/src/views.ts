import { Injectable, Optional } from '@nestjs/common';
import { sql } from 'kysely';
import type { JobState, Priority } from '#define-job';
import { asPassing } from './database-errors.js';
import type { StoredError } from './error-form.js';
import { type Change, type HistoryRow, historyOf } from './history.js';
import type { Previous } from './job-record.js';
import { RecordsDatabase } from './records-database.js';
import type { StoredAttempt } from './schema.js';
import { type StoredMessage, UnprocessableMessages } from './unprocessable-messages.js';

/** A job as clients see it. */
export interface JobView {
  id: string;
  name: string;
  queue: string;
  priority: Priority;
  state: JobState;
  /** From 0 to 1; null when the handler told none. */
  progress: number | null;
  progressNote: string | null;
  /** The newest attempt; 0 before the first. */
  attempt: number;
  maxAttempts: number;
  payload: unknown;
  result: unknown;
  /** What the newest failed attempt died of, unless the job succeeded. */
  error: AttemptView['error'];
  attempts: AttemptView[];
  createdAt: Date;
  runAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** Since when the job is to be cancelled; a running one goes on until its handler has noticed. */
  cancelRequestedAt: Date | null;
  /** The batch that it was enqueued with. */
  batch: string | null;
  /** What it follows, with its result. */
  previous: Previous | null;
  /** The id of the job that follows when this one succeeds, and exists from then on. */
  next: string | null;
  /** The trace that it was enqueued in. */
  traceId: string | null;
}

/** One run of the handler. */
export interface AttemptView {
  attempt: number;
  outcome: 'running' | 'succeeded' | 'failed' | 'crashed' | 'cancelled';
  worker: string | null;
  startedAt: string | Date | null;
  finishedAt: string | Date | null;
  error: StoredError | null;
}

/** A message that was no job when it was received, as people look at it: without secrets. */
export interface MessageView {
  properties: Record<string, unknown>;
  headers: Record<string, unknown>;
  /** Bytes of the whole body. */
  size: number;
  /** Its beginning, as text where it is text. */
  body: string;
  encoding: 'utf8' | 'hex';
}

/** Which jobs to list; absent means any. */
export interface ListFilter {
  state?: JobState;
  name?: string;
  queue?: string;
  batch?: string;
  /** At most so many. */
  limit: number;
  /** Only jobs made before this one. */
  before?: string;
}

/** What a list shows of a payload or a result. */
const LISTED_BYTES = 8_192;

/** What has become of a job since it was looked at last; see {@link Views.changed}. */
export interface WatchedJob {
  id: string;
  /** Another one whenever the record was written. */
  version: string;
  state: JobState;
  claim: number;
  progress: number | null;
  progressNote: string | null;
  history: Change[];
}

/** Takes the secrets out of what is shown of a job. The records do not know which those are; `JobsModule` does. */
export abstract class Redaction {
  abstract redact<Job extends JobView>(job: Job): Job;
  /** @param name of the contract that the message names, if there is one. */
  abstract redactMessage(message: StoredMessage, name: string): MessageView;
}

/** Reads what the records say, for people and programs that look at jobs: without secrets. */
@Injectable()
export class Views {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly messages: UnprocessableMessages,
    /** Absent where there are no contracts: in the threads of isolated handlers. */
    @Optional() private readonly redaction?: Redaction,
  ) {}

  /** The job of an id, or undefined. */
  async find(id: string): Promise<JobView | undefined> {
    return (await this.select((query) => query.where('jobs.id', '=', id)))[0];
  }

  /** What was received, when the job is of a message that was unprocessable. */
  async messageOf({ id, name }: Pick<JobView, 'id' | 'name'>): Promise<MessageView | null> {
    const message = await this.messages.find(id);
    return message && this.redaction ? this.redaction.redactMessage(message, name) : null;
  }

  /** The payload of a job as it was given, secrets and all, for programs that work with it. */
  async payloadOf(id: string): Promise<unknown> {
    const query = this.database.builder.selectFrom('jobs').select('payload').where('id', '=', id);
    return (await this.answer(() => query.executeTakeFirst()))?.payload;
  }

  /**
   * Jobs, newest first; dead ones by the time of their death. Payloads and results of over 8 KiB are left out, so that no
   * list is a gigabyte.
   */
  async list({ state, name, queue, batch, limit, before }: ListFilter): Promise<JobView[]> {
    return this.select((start) => {
      const byTime = state === 'dead';
      let query = byTime ? start.orderBy('jobs.finished_at', 'desc') : start;
      query = query.orderBy('jobs.id', 'desc').limit(limit);
      if (state) query = query.where('jobs.state', '=', state);
      if (name) query = query.where('jobs.name', '=', name);
      if (queue) query = query.where('jobs.queue', '=', queue);
      if (batch) query = query.where('jobs.batch', '=', batch);
      if (!before) return query;
      return query.where(
        byTime
          ? sql<boolean>`(jobs.finished_at, jobs.id) < ((${sql.raw(DIED_AT)} where id = ${before}), ${before}::uuid)`
          : sql<boolean>`jobs.id < ${before}`,
      );
    }, LISTED_BYTES);
  }

  /**
   * Those of some jobs whose records were written since they were looked at last.
   *
   * @param known the version of each as it was then; an empty one when it never was.
   */
  async changed(known: ReadonlyMap<string, string>): Promise<WatchedJob[]> {
    const { rows } = await this.database.query<HistoryRow & Omit<WatchedJob, 'history'>>({
      name: 'changed',
      // Each write of a row is a new version of it, and PostgreSQL notes by which transaction.
      text: `
        select j.id, j.xmin::text as version, j.state, j.attempt, j.claim, j.attempts, j.progress,
          j.progress_note as "progressNote", j.created_at, j.run_at, j.started_at, j.finished_at
        from unnest($1::uuid[], $2::text[]) as k (id, version)
        join jobs j on j.id = k.id and j.xmin::text <> k.version`,
      values: [[...known.keys()], [...known.values()]],
    });
    return rows.map((row) => ({
      id: row.id,
      version: row.version,
      state: row.state,
      claim: row.claim,
      progress: row.progress,
      progressNote: row.progressNote,
      history: historyOf(row),
    }));
  }

  private async select(
    narrow: (query: ReturnType<Views['everything']>) => ReturnType<Views['everything']>,
    maxBytes = Number.MAX_SAFE_INTEGER,
  ) {
    const rows = await this.answer(() => narrow(this.everything(maxBytes)).execute());
    return rows.map((row) => this.redaction?.redact(toView(row)) ?? toView(row));
  }

  /** @param maxBytes payloads and results that take more, as they are stored, are null. */
  private everything(maxBytes: number) {
    const within = (column: 'payload' | 'result') =>
      sql<unknown>`case when pg_column_size(${sql.ref(`jobs.${column}`)}) <= ${maxBytes}::bigint
        then ${sql.ref(`jobs.${column}`)} end`.as(column);
    return this.database.builder
      .selectFrom('jobs')
      .leftJoin('workers', 'workers.id', 'jobs.worker')
      .select([
        'jobs.id',
        'jobs.name',
        'jobs.queue',
        'jobs.priority',
        'jobs.batch',
        'jobs.previous',
        'jobs.next',
        'jobs.traceparent',
        'jobs.state',
        'jobs.progress',
        'jobs.progress_note',
        'jobs.attempt',
        'jobs.max_attempts',
        'jobs.attempts',
        'jobs.created_at',
        'jobs.run_at',
        'jobs.started_at',
        'jobs.finished_at',
        'jobs.cancel_requested_at',
        'workers.name as worker_name',
      ])
      .select([within('payload'), within('result')]);
  }

  private async answer<T>(query: () => Promise<T>): Promise<T> {
    try {
      return await query();
    } catch (error) {
      throw asPassing(error);
    }
  }
}

/**
 * When a job died that a page of dead letters ended with. It may have been sent back to work since, and then it has no
 * time of an end; its last attempt has.
 */
export const DIED_AT = `
  select coalesce((attempts -> -1 ->> 'finishedAt')::timestamptz, finished_at) from jobs`;

type Row = Awaited<ReturnType<ReturnType<Views['everything']>['execute']>>[number];

function toView(row: Row): JobView {
  const stored = row.attempts as StoredAttempt[];
  const attempts: AttemptView[] = stored.map(({ claim: _, ...attempt }) => attempt);
  if (row.state === 'running' || row.state === 'succeeded') {
    attempts.push({
      attempt: row.attempt,
      outcome: row.state,
      worker: row.worker_name,
      startedAt: row.started_at,
      finishedAt: row.finished_at,
      error: null,
    });
  }
  return {
    id: row.id,
    name: row.name,
    queue: row.queue,
    priority: row.priority,
    state: row.state,
    progress: row.progress,
    progressNote: row.progress_note,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    payload: row.payload,
    result: row.result,
    error: row.state === 'succeeded' ? null : (stored.findLast(({ error }) => error)?.error ?? null),
    attempts,
    createdAt: row.created_at,
    runAt: row.run_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    cancelRequestedAt: row.cancel_requested_at,
    batch: row.batch,
    previous: row.previous,
    next: row.next?.id ?? null,
    traceId: row.traceparent?.split('-')[1] ?? null,
  };
}
