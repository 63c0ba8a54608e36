import { Injectable } from '@nestjs/common';
import type { LogLine } from '#resources';
import { columns } from './columns.js';
import { RecordsDatabase, rowsOf } from './records-database.js';

/** A line that a handler logged, as it is stored. */
export interface NewLogLine {
  job: string;
  claim: number;
  /** Its number within the claim: a line that is added again replaces itself. */
  line: number;
  attempt: number;
  /** When it was logged, by `performance.now()`. */
  loggedAt: number;
  level: string;
  message: string;
  /** As JSON. */
  fields: string;
}

/** The most that is read at once. */
const MAX_LINES = 1_000;
const MAX_BYTES = 1024 * 1024;

/** The logs of jobs. */
@Injectable()
export class JobLogStore {
  constructor(private readonly database: RecordsDatabase) {}

  /** @throws DatabaseUnavailableError: the lines may be added again. */
  async add(lines: readonly NewLogLine[]): Promise<void> {
    const now = performance.now();
    const rows = lines.map((line) => ({ ...line, ageMs: now - line.loggedAt }));
    await this.database.query({
      name: 'log-add',
      text: `
        insert into job_logs (job, claim, line, attempt, at, level, message, fields)
        select l.job, l.claim, l.line, l.attempt, now() - l.age_ms * interval '1 millisecond', l.level, l.message, l.fields
        from unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::float8[], $6::text[], $7::text[], $8::json[])
          as l (job, claim, line, attempt, age_ms, level, message, fields)
        on conflict (job, claim, line) do update set message = excluded.message`,
      values: columns(rows, 'job', 'claim', 'line', 'attempt', 'ageMs', 'level', 'message', 'fields'),
    });
  }

  /** The newest lines of a job, or of one of its attempts, oldest first: 1,000 of them, or 1 MiB, at most. */
  of(job: string, { attempt, limit = MAX_LINES }: { attempt?: number; limit?: number } = {}) {
    return rowsOf<LogLine>(this.database, {
      text: `
        select at, attempt, level, message, fields from (
          select *, sum(octet_length(message) + octet_length(fields::text)) over (order by claim desc, line desc) as size
          from job_logs where job = $1 and ($2::int is null or attempt = $2) order by claim desc, line desc limit $3
        ) newest where size <= ${MAX_BYTES} order by claim, line`,
      values: [job, attempt ?? null, limit],
    });
  }
}
