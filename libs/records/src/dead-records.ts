import { Injectable } from '@nestjs/common';
import { Database } from './database.js';
import { FIRST_ID } from './records.js';
import type { Statement } from './statements.js';
import type { JobState } from './views.js';

/** Jobs that one statement replays, discards or compares, so that a hundred thousand are no long transaction. */
const PAGE = 1_000;

/** Which dead letters are meant; absent means any. */
export interface DeadLetterFilter {
  ids?: readonly string[];
  queue?: string;
  name?: string;
  /** Part of the message of their last error, in whatever case. */
  error?: string;
}

/** How many dead records a queue has, and of how many the letter may not be in the broker yet. */
export interface DeadCount {
  queue: string;
  dead: number;
  owed: number;
}

/**
 * The records of dead jobs. They say which letters the dead-letter queues should hold: replaying and discarding
 * change the records only, and whoever keeps the queues (`DeadLetterKeeper` in jobs) makes those follow.
 */
@Injectable()
export class DeadRecords {
  constructor(private readonly database: Database) {}

  /**
   * Sends dead letters back to work, attempts and losses counted from zero; the relay publishes them. In pages: killed
   * half-way, the rest is still dead, and the same call goes on with it.
   *
   * @returns how many.
   */
  replay(filter: DeadLetterFilter): Promise<number> {
    return this.inPages(
      'replay',
      `state = 'queued', attempt = 0, losses = 0, run_at = now(), publish_at = now(), finished_at = null,
       progress = null, progress_note = null, cancel_requested_at = null`,
      filter,
    );
  }

  /** Gives dead letters up for good; their records stay. In pages, as {@link replay}. @returns how many. */
  discard(filter: DeadLetterFilter): Promise<number> {
    return this.inPages('discard', `state = 'discarded', finished_at = now(), publish_at = null`, filter);
  }

  /** Counts the dead records of each queue that has any. */
  async counts(): Promise<DeadCount[]> {
    return this.rows({
      name: 'dead-counts',
      text: `
        select d.queue, d.dead, coalesce(o.owed, 0) as owed
        from (select queue, count(*)::int as dead from jobs where state = 'dead' group by queue) d
        left join (
          select queue, count(*)::int as owed from jobs where publish_at is not null and state = 'dead' group by queue
        ) o on o.queue = d.queue`,
      values: [],
    });
  }

  /** What the records say of the jobs that these letters stand for. */
  async statesOf(ids: readonly string[]): Promise<{ id: string; state: JobState; queue: string }[]> {
    return this.rows({
      name: 'states-of',
      text: 'select id, state, queue from jobs where id = any ($1::uuid[])',
      values: [ids],
    });
  }

  /** The database's time, to tell what died before from what dies meanwhile. */
  async now(): Promise<Date> {
    const [row] = await this.rows<{ now: Date }>({ name: 'now', text: 'select now()', values: [] });
    return row?.now as Date;
  }

  /** The ids of the dead whose letter the broker should hold since before a time, in pages. */
  async *settledBefore(queue: string, time: Date): AsyncGenerator<string[]> {
    for (let after = FIRST_ID; ; ) {
      const rows: { id: string }[] = await this.rows({
        name: 'dead-page',
        text: `
          select id from jobs
          where state = 'dead' and queue = $1 and publish_at is null and finished_at < $2 and id > $3::uuid
          order by id limit $4`,
        values: [queue, time, after, PAGE],
      });
      yield rows.map(({ id }) => id);
      if (rows.length < PAGE) return;
      after = rows.at(-1)?.id ?? after;
    }
  }

  /** Has the relay publish the letters of these jobs again. */
  async owe(ids: readonly string[]): Promise<void> {
    await this.rows({
      name: 'owe-dead',
      text: `update jobs set publish_at = now() where id = any ($1::uuid[]) and state = 'dead'`,
      values: [ids],
    });
  }

  /**
   * Records as dead what the broker itself put among the dead letters: nobody ever claimed the attempt that the
   * message stood for.
   *
   * @param error what the record says of it, as JSON text.
   */
  async bury(ids: readonly string[], error: string): Promise<void> {
    await this.rows({
      name: 'bury',
      text: `
        update jobs set state = 'dead', finished_at = now(), publish_at = null,
          attempts = attempts || jsonb_build_object('attempt', attempt + 1, 'outcome', 'lost', 'error', $2::jsonb,
            'worker', null, 'startedAt', null, 'finishedAt', now())
        where id = any ($1::uuid[]) and state in ('queued', 'retrying')`,
      values: [ids, error],
    });
  }

  /** How many letters each queue holds that no record stands for, as they were counted last. */
  async foreignLetters(): Promise<Map<string, number>> {
    const rows = await this.rows<{ queue: string; count: number }>({
      name: 'foreign-letters',
      text: 'select queue, foreign_letters as count from dead_letter_queues',
      values: [],
    });
    return new Map(rows.map(({ queue, count }) => [queue, count]));
  }

  /** Keeps how many letters of a queue no record stands for. */
  async countForeignLetters(queue: string, count: number): Promise<void> {
    await this.rows({
      name: 'count-foreign-letters',
      text: `
        insert into dead_letter_queues (queue, foreign_letters) values ($1, $2)
        on conflict (queue) do update set foreign_letters = $2`,
      values: [queue, count],
    });
  }

  /** Keeps that one more such letter lies there. */
  async addForeignLetter(queue: string): Promise<void> {
    await this.rows({
      name: 'add-foreign-letter',
      text: `
        insert into dead_letter_queues (queue, foreign_letters) values ($1, 1)
        on conflict (queue) do update set foreign_letters = dead_letter_queues.foreign_letters + 1`,
      values: [queue],
    });
  }

  private async inPages(
    name: string,
    change: string,
    { ids, queue, name: contract, error }: DeadLetterFilter,
  ): Promise<number> {
    let total = 0;
    for (let after = FIRST_ID; ; ) {
      const rows = await this.rows<{ id: string }>({
        name,
        text: `
          with page as (
            select id from jobs
            where state = 'dead' and id > $1::uuid
              and ($3::uuid[] is null or id = any ($3)) and ($4::text is null or queue = $4)
              and ($5::text is null or name = $5)
              and ($6::text is null or position(lower($6) in lower(attempts -> -1 -> 'error' ->> 'message')) > 0)
            order by id limit $2 for update
          )
          update jobs j set ${change}
          from page where j.id = page.id and j.state = 'dead'
          returning j.id`,
        values: [after, PAGE, ids ?? null, queue ?? null, contract ?? null, error ?? null],
      });
      total += rows.length;
      if (rows.length < PAGE) return total;
      after =
        rows
          .map(({ id }) => id)
          .toSorted()
          .at(-1) ?? after;
    }
  }

  private async rows<Row = unknown>(statement: Statement): Promise<Row[]> {
    return (await this.database.query<Row>(statement)).rows;
  }
}
