import type { JobState } from '#define-job';
import type { Previous } from '#resources';
import type { JobOptions, NewRecord, NextRecord } from './job-record.js';
import { type Queryable, rowsOf } from './records-database.js';

/** A job with all that another one can be made of, secrets and all. */
export interface StoredJob
  extends Pick<NewRecord, 'id' | 'name' | 'queue' | 'maxAttempts'>,
    Required<Pick<NewRecord, 'payload' | 'priority' | 'version'>> {
  state: JobState;
  options: JobOptions | null;
  tags: readonly string[] | null;
  next: NextRecord | null;
  previous: Previous | null;
}

/** @param narrow a further condition, of the job `j`. */
export const storedJobs = (queryable: Queryable, ids: readonly string[], narrow = ''): Promise<StoredJob[]> =>
  rowsOf(queryable, {
    text: `
      select j.id, j.name, j.queue, j.payload::text as payload, j.max_attempts as "maxAttempts", j.priority, j.version,
        j.state, j.options, j.tags, j.next, j.previous
      from jobs j where j.id = any ($1::uuid[]) ${narrow} order by j.id`,
    values: [ids],
  });
