import { Injectable, Logger } from '@nestjs/common';
import type { Done } from '#resources';
import { RecordsDatabase } from './records-database.js';

export type Via = 'dashboard' | 'http' | 'cli';

export interface Action {
  /** A user's name, a part of a key's hash, an account of the machine; `anonymous` where nobody is asked. */
  actor: string;
  via: Via;
  /** What is done: `job.cancel`. */
  action: string;
  /** What it is done to: an id, a name, a filter. */
  subject: string;
}

export interface AuditLine extends Action {
  id: string;
  at: Date;
  /** How many it changed; null while it runs, and when it was interrupted. */
  count: number | null;
  /** Why it, or a part of it, was refused; null when it was not. */
  refusal: string | null;
}

const MAX_SUBJECT = 500;

/** Records who did what: a row, written before the action, and a log line. An action that cannot be recorded is not done. */
@Injectable()
export class Audit {
  private readonly logger = new Logger(Audit.name);

  constructor(private readonly database: RecordsDatabase) {}

  /**
   * Records an action and does it.
   *
   * @param doneBy tells how many were changed, by what the task resolves to.
   * @returns what the task resolves to. @throws what the task throws; its line then has no count.
   */
  async record<Result>(
    entry: Action,
    task: () => Promise<Result>,
    doneBy: (result: Result) => Done = doneIn,
  ): Promise<Result> {
    const { actor, via, action } = entry;
    const subject = shownSubject(entry);
    const [line] = (
      await this.database.query<{ id: string }>({
        name: 'audit-begin',
        text: 'insert into audit (actor, via, action, subject) values ($1, $2, $3, $4) returning id',
        values: [actor, via, action, subject],
      })
    ).rows;
    const result = await task();
    const { count, leftOut = 0 } = doneBy(result);
    const refusal = leftOut > 0 ? `${leftOut} left out: another job holds their unique key` : null;
    this.logger.log({ msg: `Action ${action}`, actor, via, subject, count, leftOut });
    // The action is done, even if this fails.
    await this.database
      .query({
        name: 'audit-end',
        text: 'update audit set count = $2, refusal = $3 where id = $1',
        values: [line?.id, count, refusal],
      })
      .catch(({ message }: Error) => this.logger.warn({ msg: `Cannot store the count: ${message}`, action }));
    return result;
  }

  /** Records that an action was refused, and why. */
  async refusal(entry: Action, reason: string): Promise<void> {
    const { actor, via, action } = entry;
    const subject = shownSubject(entry);
    this.logger.warn({ msg: `Refused ${action}`, actor, via, subject, reason });
    await this.database.query({
      name: 'audit-refusal',
      text: 'insert into audit (actor, via, action, subject, count, refusal) values ($1, $2, $3, $4, 0, $5)',
      values: [actor, via, action, subject, reason],
    });
  }

  /** Lists actions, newest first. @param before only those before the line of this id. */
  async list(limit: number, before?: string): Promise<AuditLine[]> {
    const { rows } = await this.database.query<AuditLine>({
      name: 'audit-list',
      text: `
        select id, at, actor, via, action, subject, count, refusal from audit
        where $2::bigint is null or id < $2 order by id desc limit $1`,
      values: [limit, before ?? null],
    });
    return rows;
  }
}

/** A number or a count is that many, whether something was changed is one or none, and any other result is one. */
function doneIn(result: unknown): Done {
  if (typeof result === 'number' || typeof result === 'boolean') return { count: Number(result) };
  const { count, leftOut } = (result ?? {}) as Partial<Done>;
  return typeof count === 'number' ? { count, leftOut } : { count: 1 };
}

/** Clients choose parts of it: control characters could forge lines of a log, and NUL fits no column. */
const shownSubject = ({ subject }: Action) => subject.replace(/\p{Cc}+/gu, ' ').slice(0, MAX_SUBJECT);
