import type { ColumnType, Generated } from 'kysely';
import type { JobState, Priority } from '#define-job';
import type { StoredError } from './error-form.js';
import type { Previous } from './job-record.js';

/** The tables, as the query builder knows them; `migrations/` makes them and says what each column is for. */
export interface Schema {
  jobs: JobsTable;
  workers: { id: Generated<number>; name: string; started_at: Generated<Date> };
}

interface JobsTable {
  id: string;
  name: string;
  queue: string;
  state: JobState;
  payload: unknown;
  result: unknown;
  attempt: number;
  max_attempts: number;
  batch: string | null;
  next: { id: string } | null;
  previous: Previous | null;
  traceparent: string | null;
  claim: number;
  crashes: number;
  worker: number | null;
  attempts: ColumnType<StoredAttempt[]>;
  progress: number | null;
  progress_note: string | null;
  created_at: Date;
  run_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
  cancel_requested_at: Date | null;
  publish_at: Date | null;
  priority: Generated<Priority>;
}

/** An attempt that ended otherwise than by success, as the record keeps it. */
export interface StoredAttempt {
  attempt: number;
  /** The claim that it ran under; absent when nobody claimed it. */
  claim?: number;
  outcome: 'failed' | 'crashed' | 'cancelled';
  worker: string | null;
  startedAt: string;
  finishedAt: string;
  error: StoredError | null;
}
