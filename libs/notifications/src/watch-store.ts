import { Injectable } from '@nestjs/common';
import { SendNotification } from '#contracts';
import { DEAD_JOBS, type Queryable, RecordsDatabase } from '#records';
import type { Conditions } from './assess.js';
import { LINES, type NewDead } from './notices.js';

/** After this time without a look another process looks. It is longer than a look takes whose webhooks do not answer. */
export const LEASE_MS = 20_000;

/** What is remembered from look to look, whichever process looks. */
export interface Memory {
  /** Up to when dead letters were told, in milliseconds since 1970. */
  deadUntil?: number;
  conditions?: Conditions;
}

/** A look that this process may take. Times are the database's, in whole milliseconds. */
export interface Look {
  now: Date;
  memory: Memory;
  /** When the one before was, unless its process has stopped in good order. */
  before: Date | null;
}

/** Which process looks for all, and what it remembers. */
@Injectable()
export class WatchStore {
  constructor(private readonly database: RecordsDatabase) {}

  /** @returns undefined when it is for another process to look. @throws DatabaseUnavailableError */
  async take(looker: string): Promise<Look | undefined> {
    const { rows } = await this.database.query<Look>({
      name: 'notifications-take',
      text: `
        with last as (
          select looker, looked_at from notification_watch
          where looker = $1 or looker is null or looked_at < now() - $2 * interval '1 millisecond'
          for update skip locked
        )
        update notification_watch w set looker = $1, looked_at = date_trunc('milliseconds', now()) from last
        returning w.looked_at as now, w.memory, case when last.looker is not null then last.looked_at end as before`,
      values: [looker, LEASE_MS],
    });
    return rows[0];
  }

  /** @returns false when another process has taken over since. */
  async remember(transaction: Queryable, looker: string, { now }: Look, memory: Memory): Promise<boolean> {
    const { rows } = await transaction.query({
      name: 'notifications-remember',
      text: 'update notification_watch set memory = $3 where looker = $1 and looked_at = $2 returning id',
      values: [looker, now, JSON.stringify(memory)],
    });
    return rows.length > 0;
  }

  /** Lets another process look at once. */
  async release(looker: string): Promise<void> {
    const text = 'update notification_watch set looker = null where looker = $1';
    await this.database.query({ text, values: [looker] });
  }

  /** The largest groups of what died after one time and up to another, but for notifications themselves. */
  async newDead(after: number, until: number): Promise<NewDead[]> {
    const { rows } = await this.database.query<NewDead>({
      name: 'notifications-dead',
      text: `
        select queue, name, error_form as error, count(*)::int as count,
          (sum(count(*)) over ())::int as total, (count(*) over ())::int as groups
        from ${DEAD_JOBS} dead
        where finished_at > $1 and finished_at <= $2 and name <> $3
        group by queue, name, error_form order by count(*) desc, max(finished_at) desc limit $4`,
      values: [new Date(after), new Date(until), SendNotification.name, LINES],
    });
    return rows;
  }
}
