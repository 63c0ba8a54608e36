import { Injectable } from '@nestjs/common';
import { RecordsDatabase } from './records-database.js';

/** What somebody wants to become of a foreign letter. */
export type Wish = 'replay' | 'discard';

/** A message in a dead-letter queue, or among the unroutable, that no record stands for. */
export interface ForeignLetter {
  /** The work queue whose dead letter it is; `jobs.unroutable` for what no queue took. */
  queue: string;
  /** A hash of what it carries: the same for copies of the same message, and nothing else. */
  id: string;
  reason: string;
  /** Its AMQP properties, without headers. */
  properties: Record<string, unknown>;
  headers: Record<string, unknown>;
  /** Bytes of the whole body. */
  size: number;
  /** The beginning of the body. */
  body: Buffer;
}

/** The same as it was found. */
export interface ForeignLetterView extends ForeignLetter {
  /** How many of the same lie there. */
  copies: number;
  foundAt: Date;
  /** What is about to become of it. */
  wish: Wish | null;
}

/** Which foreign letters are meant; absent means any. */
export interface ForeignLetterFilter {
  queue?: string;
  ids?: readonly string[];
}

/**
 * A catalogue of the letters that no record stands for. The messages stay in their queues: whoever keeps those (the
 * `DeadLetterKeeper` in jobs) notes here what it finds, and fulfils the wishes that it finds here.
 */
@Injectable()
export class ForeignLetters {
  constructor(private readonly database: RecordsDatabase) {}

  /**
   * Foreign letters, by queue and id.
   *
   * @param after the last letter of the page before.
   */
  async list(
    { queue, ids }: ForeignLetterFilter,
    { limit, after }: { limit: number; after?: Pick<ForeignLetter, 'queue' | 'id'> },
  ): Promise<ForeignLetterView[]> {
    return this.rows<ForeignLetterView>(
      `select queue, id, copies, reason, properties, headers, size, body, found_at as "foundAt", wish
       from foreign_letters
       where ($1::text is null or queue = $1) and ($2::text[] is null or id = any ($2))
         and ($3::text is null or (queue, id) > ($3, $4))
       order by queue, id limit $5`,
      [queue ?? null, ids ?? null, after?.queue ?? null, after?.id ?? null, limit],
    );
  }

  /** How many letters are meant, copies counted. */
  async count({ queue, ids }: ForeignLetterFilter = {}): Promise<number> {
    const [row] = await this.rows<{ count: number }>(
      `select coalesce(sum(copies), 0)::int as count from foreign_letters
       where ($1::text is null or queue = $1) and ($2::text[] is null or id = any ($2))`,
      [queue ?? null, ids ?? null],
    );
    return row?.count ?? 0;
  }

  /**
   * Has letters published again to the queue that they came from, or thrown away; a worker does so within seconds. The
   * last wish counts.
   *
   * @returns how many letters, copies counted.
   */
  async wish(wish: Wish, { queue, ids }: ForeignLetterFilter): Promise<number> {
    const [row] = await this.rows<{ count: number }>(
      `with wished as (
         update foreign_letters set wish = $3
         where ($1::text is null or queue = $1) and ($2::text[] is null or id = any ($2))
         returning copies
       )
       select coalesce(sum(copies), 0)::int as count from wished`,
      [queue ?? null, ids ?? null, wish],
    );
    return row?.count ?? 0;
  }

  /** The queues of which somebody wishes something. */
  async wishedQueues(): Promise<Set<string>> {
    const rows = await this.rows<{ queue: string }>(
      'select distinct queue from foreign_letters where wish is not null',
      [],
    );
    return new Set(rows.map(({ queue }) => queue));
  }

  /** What is wished of the letters of a queue, by their ids. */
  async wishesOf(queue: string): Promise<Map<string, Wish>> {
    const rows = await this.rows<{ id: string; wish: Wish }>(
      'select id, wish from foreign_letters where queue = $1 and wish is not null',
      [queue],
    );
    return new Map(rows.map(({ id, wish }) => [id, wish]));
  }

  /**
   * Notes letters that were found.
   *
   * @param since when the queue began to be gone through: what was noted before is not counted again.
   */
  async note(letters: readonly ForeignLetter[], since: Date): Promise<void> {
    const copies = new Map<string, number>();
    for (const { id } of letters) copies.set(id, (copies.get(id) ?? 0) + 1);
    const distinct = [...new Map(letters.map((letter) => [letter.id, letter])).values()];
    await this.rows(
      `insert into foreign_letters as f (queue, id, copies, reason, properties, headers, size, body)
       select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::json[], $6::json[], $7::int[],
         $8::bytea[])
       on conflict (queue, id) do update set
         copies = excluded.copies + case when f.seen_at < $9 then 0 else f.copies end, seen_at = now()`,
      [
        distinct.map(({ queue }) => queue),
        distinct.map(({ id }) => id),
        distinct.map(({ id }) => copies.get(id)),
        distinct.map(({ reason }) => reason),
        distinct.map(({ properties }) => JSON.stringify(properties)),
        distinct.map(({ headers }) => JSON.stringify(headers)),
        distinct.map(({ size }) => size),
        distinct.map(({ body }) => body),
        since,
      ],
    );
  }

  /** Forgets the letters of a queue that were not noted since a time. */
  async forget(queue: string, since: Date): Promise<void> {
    await this.rows('delete from foreign_letters where queue = $1 and seen_at < $2', [queue, since]);
  }

  private async rows<Row = unknown>(text: string, values: unknown[]): Promise<Row[]> {
    return (await this.database.query<Row>({ text, values })).rows;
  }
}

/** The bytes of a body, which may be anything and cut anywhere, as people read them. */
export function showBody(body: Buffer): { body: string; encoding: 'utf8' | 'hex' } {
  try {
    return {
      body: new TextDecoder('utf-8', { fatal: true }).decode(body, { stream: true }),
      encoding: 'utf8',
    };
  } catch {
    return { body: body.toString('hex'), encoding: 'hex' };
  }
}
