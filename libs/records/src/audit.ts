import { Injectable, Logger } from '@nestjs/common';
import { RecordsDatabase } from './records-database.js';

/** Where an operator's hand came from. */
export type Via = 'dashboard' | 'http' | 'cli';

/** Who does what to what. */
export interface Action {
  /** A user's name, a part of a key's hash, an account of the machine; `anonymous` where nobody is asked. */
  actor: string;
  via: Via;
  /** What is done: `job.cancel`. */
  action: string;
  /** What it is done to: an id, a name, a filter. */
  subject: string;
}

/** An action as it was kept. */
export interface AuditLine extends Action {
  id: string;
  at: Date;
  /** How much it changed; null while it runs, and when it was cut off. */
  count: number | null;
  /** Why it, or a part of it, was not let through; null when it was. */
  refusal: string | null;
}

/** What an action changed, and how much of what was meant it had to leave out. */
export interface Done {
  count: number;
  leftOut?: number;
}

/** More of a filter than this tells nobody more. */
const MAX_SUBJECT = 500;

/**
 * Keeps who did what: a line in the database and one in the log for each action. The line is written before the action, so
 * that none goes without; what cannot be written down is not done.
 */
@Injectable()
export class Audit {
  private readonly logger = new Logger(Audit.name);

  constructor(private readonly database: RecordsDatabase) {}

  /**
   * Does something that people are answerable for.
   *
   * @param task resolves to how much it changed.
   * @returns the same. @throws what the task throws; its line then has no count.
   */
  async record<Result extends number | Done>(entry: Action, task: () => Promise<Result>): Promise<Result> {
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
    const { count, leftOut = 0 }: Done = typeof result === 'number' ? { count: result } : result;
    const refusal = leftOut > 0 ? `${leftOut} left out: another job holds their unique key` : null;
    this.logger.log(
      `${actor} (${via}) did ${action} to ${subject}: ${count}${refusal ? `, ${refusal}` : ''}`,
    );
    // It is done, whatever happens to this.
    await this.database
      .query({
        name: 'audit-end',
        text: 'update audit set count = $2, refusal = $3 where id = $1',
        values: [line?.id, count, refusal],
      })
      .catch((error: Error) => this.logger.warn(`The count of ${action} was not kept: ${error.message}`));
    return result;
  }

  /** Keeps that somebody was not let through with an action, and why. */
  async refusal(entry: Action, reason: string): Promise<void> {
    const { actor, via, action } = entry;
    const subject = shownSubject(entry);
    this.logger.warn(`${actor} (${via}) was refused ${action} to ${subject}: ${reason}`);
    await this.database.query({
      name: 'audit-refusal',
      text: 'insert into audit (actor, via, action, subject, count, refusal) values ($1, $2, $3, $4, 0, $5)',
      values: [actor, via, action, subject, reason],
    });
  }

  /** What was done, newest first. @param before only what came before the line of this id. */
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

/** Clients choose parts of it: control characters could forge lines of a log, and NUL fits no column. */
const shownSubject = ({ subject }: Action) => subject.replace(/\p{Cc}+/gu, ' ').slice(0, MAX_SUBJECT);
