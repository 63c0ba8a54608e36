import { Injectable, Optional } from '@nestjs/common';
import { Cache } from '#common';
import { FIRST_VERSION, type JobState } from '#define-job';
import type { AttemptView, JobView, MessageView } from '#resources';
import { type Change, type HistoryRow, historyOf, timeOf } from './history.js';
import type { NewRecord } from './job-record.js';
import { RecordsDatabase } from './records-database.js';
import { jobsIn } from './statements.js';
import { type StoredJob, storedJobs } from './stored-job.js';
import { type StoredMessage, UnprocessableMessages } from './unprocessable-messages.js';
import { isWaiting, type QueueFacts, queueFacts, type Waiting, waitingFor } from './waiting-for.js';

export interface ListFilter {
  state?: JobState;
  name?: string;
  queue?: string;
  batch?: string;
  tag?: string;
  limit: number;
  /** Only jobs made before this one. */
  before?: string;
}

const LISTED_BYTES = 8_192;

/** What has become of a job since it was looked at last; see {@link JobQueries.changed}. */
export interface WatchedJob {
  id: string;
  /** Another one whenever the record, or its log, was written. */
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
  /** The contracts of which a place in payloads is secret; undefined when it is of whatever contract. */
  abstract hiddenAt(path: readonly string[]): string[] | undefined;
}

/** How long what is known of queues is good for the answer to who enqueues a job. */
const FRESH_MS = 1_000;

/** Reads what the records say, for people and programs that look at jobs: without secrets. */
@Injectable()
export class JobQueries {
  private readonly recentFacts = new Cache(() => queueFacts(this.database), { freshMs: FRESH_MS });

  constructor(
    private readonly database: RecordsDatabase,
    private readonly messages: UnprocessableMessages,
    /** Absent where there are no contracts: in the threads of isolated handlers. */
    @Optional() private readonly redaction?: Redaction,
  ) {}

  /** What was known of the queues in the last second, for {@link viewOfNew}; undefined while the database is away. */
  recentQueueFacts(): Promise<QueueFacts | undefined> {
    return this.recentFacts.get().catch(() => undefined);
  }

  async find(id: string): Promise<JobView | undefined> {
    return (await this.select('where j.id = $2', [id]))[0];
  }

  /** What was received, when the job is of a message that was unprocessable. */
  async messageOf({ id, name }: Pick<JobView, 'id' | 'name'>): Promise<MessageView | null> {
    const message = await this.messages.find(id);
    return message && this.redaction ? this.redaction.redactMessage(message, name) : null;
  }

  /** A job as it is stored, secrets and all. */
  async stored(id: string): Promise<StoredJob | undefined> {
    return (await storedJobs(this.database, [id]))[0];
  }

  /** The state of a job, and its result as it was returned, secrets and all. */
  async outcomeOf(id: string): Promise<{ name: string; state: JobState; result: unknown } | undefined> {
    const { rows } = await this.database.query<{ name: string; state: JobState; result: unknown }>({
      text: 'select name, state, result from jobs where id = $1',
      values: [id],
    });
    return rows[0];
  }

  /** Jobs, newest first; dead ones by the time of their death. Payloads and results of over 8 KiB are left out. */
  async list({ state, name, queue, batch, tag, limit, before }: ListFilter): Promise<JobView[]> {
    const values: unknown[] = [];
    const value = (given: unknown) => `$${values.push(given) + 1}`;
    const conditions = Object.entries({ state, name, queue, batch }).flatMap(([column, wanted]) =>
      wanted === undefined ? [] : [`j.${column} = ${value(wanted)}`],
    );
    if (tag !== undefined) conditions.push(`j.tags @> ${value(JSON.stringify([tag]))}::jsonb`);
    const position = state === 'dead' ? ['j.finished_at', 'j.id'] : ['j.id'];
    if (before) {
      const id = `${value(before)}::uuid`;
      const end = state === 'dead' ? [`(${DIED_AT} where id = ${id})`, id] : [id];
      conditions.push(`(${position.join(', ')}) < (${end.join(', ')})`);
    }
    const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
    const order = position.map((column) => `${column} desc`).join(', ');
    return this.select(`${where} order by ${order} limit ${value(limit)}`, values, LISTED_BYTES, state);
  }

  /** The same of some jobs, in the order of their ids here. */
  async listed(ids: readonly string[]): Promise<JobView[]> {
    const jobs = await this.select('where j.id = any ($2::uuid[])', [ids], LISTED_BYTES);
    return ids.flatMap((id) => jobs.find((job) => job.id === id) ?? []);
  }

  /**
   * Those of some jobs whose records were written since they were looked at last.
   *
   * @param known the version of each as it was then; an empty one when it never was.
   */
  async changed(known: ReadonlyMap<string, string>): Promise<WatchedJob[]> {
    const { rows } = await this.database.query<HistoryRow & Omit<WatchedJob, 'history'>>({
      name: 'changed',
      // Each write of a row is a new version of it, and PostgreSQL notes by which transaction. So is each of its log.
      text: `
        select j.id, v.version, j.state, j.attempt, j.claim, j.attempts, j.progress,
          j.progress_note as "progressNote", j.created_at, j.run_at, j.started_at, j.finished_at
        from unnest($1::uuid[], $2::text[]) as k (id, version)
        join jobs j on j.id = k.id cross join lateral (
          select concat_ws('.', j.xmin,
            (select xmin from job_logs where job = j.id order by claim desc, line desc limit 1)) as version
        ) v
        where v.version <> k.version`,
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

  /**
   * @param narrow which jobs, in which order. @param values its parameters, from `$2` on.
   * @param maxBytes payloads and results that take more, as they are stored, are null. @param state which only are asked for.
   */
  private async select(
    narrow: string,
    values: unknown[],
    maxBytes = Number.MAX_SAFE_INTEGER,
    state?: JobState,
  ): Promise<JobView[]> {
    const { rows } = await this.database.query<Row>({
      text: `
        select j.id, j.name, j.queue, j.priority, j.version, j.state, j.progress, j.progress_note as "progressNote",
          j.attempt, j.max_attempts as "maxAttempts", ${within('payload')}, ${within('original_payload', 'originalPayload')}, ${within('result')}, j.attempts,
          j.created_at as "createdAt", j.run_at as "runAt", j.started_at as "startedAt",
          j.finished_at as "finishedAt", j.cancel_requested_at as "cancelRequestedAt", j.batch, j.previous,
          coalesce(j.tags, '[]') as tags, j.rerun_of as "rerunOf",
          j.next ->> 'id' as next, j.limited_by as "limitedBy", j.held_for as "heldFor",
          split_part(j.traceparent, '-', 2) as "traceId", w.name as worker
        from ${jobsIn(state)} j left join workers w on w.id = j.worker ${narrow}`,
      values: [maxBytes, ...values],
    });
    const facts = rows.some(isWaiting) ? await queueFacts(this.database) : undefined;
    return rows.map((row) => {
      const view = toView(row, facts);
      return this.redaction?.redact(view) ?? view;
    });
  }
}

const within = (column: string, name = column) =>
  `case when pg_column_size(j.${column}) <= $1::bigint then j.${column} end as "${name}"`;

/** When a dead letter died; its last attempt says so even if it was sent back to work since. */
export const DIED_AT = `
  select coalesce((attempts -> -1 ->> 'finishedAt')::timestamptz, finished_at) from jobs`;

/** An attempt that ended otherwise than by success, or used what is told, as the record keeps it. */
export interface StoredAttempt extends AttemptView {
  /** The claim that it ran under; absent when nobody claimed it. */
  claim?: number;
  outcome: 'failed' | 'crashed' | 'cancelled' | 'succeeded';
}

type Row = Omit<JobView, 'attempts' | 'error' | 'waitingFor'> &
  Waiting & { attempts: StoredAttempt[]; worker: string | null };

function toView(
  { worker, attempts: stored, limitedBy, heldFor, originalPayload, ...row }: Row,
  facts?: QueueFacts,
): JobView {
  const { state, attempt, startedAt, finishedAt } = row;
  const attempts: AttemptView[] = stored.map(({ claim: _, ...attempt }) => ({
    ...attempt,
    startedAt: timeOf(attempt.startedAt),
    finishedAt: timeOf(attempt.finishedAt),
  }));
  if (state === 'running' || (state === 'succeeded' && attempts.at(-1)?.outcome !== state))
    attempts.push({
      ...{ attempt, outcome: state, worker, error: null },
      startedAt: startedAt?.toISOString() ?? null,
      finishedAt: finishedAt?.toISOString() ?? null,
    });
  const error = state === 'succeeded' ? null : (stored.findLast(({ error }) => error)?.error ?? null);
  const edited = originalPayload !== null && { originalPayload };
  return {
    ...row,
    ...edited,
    waitingFor: waitingFor({ ...row, limitedBy, heldFor }, facts),
    error,
    attempts,
  };
}

/** A job as {@link JobQueries.find} would show it right after it was inserted, but with its secrets. */
export function viewOfNew(
  record: NewRecord,
  { state, createdAt, runAt }: Pick<JobView, 'state' | 'createdAt' | 'runAt'>,
  facts?: QueueFacts,
): JobView {
  const { version = FIRST_VERSION } = record;
  const view: JobView = {
    id: record.id,
    name: record.name,
    queue: record.queue,
    priority: record.priority ?? 'normal',
    version,
    state,
    waitingFor: null,
    progress: null,
    progressNote: null,
    attempt: 0,
    maxAttempts: record.maxAttempts,
    payload: JSON.parse(record.payload),
    result: null,
    error: null,
    attempts: [],
    createdAt,
    runAt,
    startedAt: null,
    finishedAt: null,
    cancelRequestedAt: null,
    batch: null,
    previous: null,
    next: record.next?.id ?? null,
    tags: [...(record.tags ?? [])],
    rerunOf: record.rerunOf ?? null,
    traceId: record.traceparent?.split('-')[1] ?? null,
  };
  view.waitingFor = waitingFor(view, facts);
  return view;
}
