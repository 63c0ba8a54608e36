import { Injectable } from '@nestjs/common';
import { Cache } from '#common';
import type { JobState } from '#define-job';
import type { QueueView } from '#resources';
import { RecordsDatabase, rowsOf, type Statement } from './records-database.js';
import { HAS_STATE_INDEXED, IS_QUEUED_IN_OUTBOX } from './statements.js';
import { type QueueFacts, queueFacts } from './waiting-for.js';

/** The states in which a job still concerns its queue. */
export type OpenState = Exclude<JobState, 'succeeded' | 'cancelled' | 'discarded'>;

/** A queue of the broker, and what is bound to it there. */
interface DeclaredQueue {
  name: string;
  bindings: { exchange: string; routingKey: string; arguments?: Record<string, unknown> }[];
}

/** How long an answer serves others: a second, and five times as long as it took. A million waiting jobs take a second. */
const FRESH_MS = 1_000;
const FRESH_FACTOR = 5;

/** What the records say of queues: how full they are, and which ones are paused. */
@Injectable()
export class QueueStore {
  private readonly views = new Cache(() => this.count(), { freshMs: FRESH_MS, freshFactor: FRESH_FACTOR });

  constructor(private readonly database: RecordsDatabase) {}

  /**
   * Stops all workers from taking jobs of a queue, within a second, until it is resumed.
   *
   * @returns whether that changed anything.
   */
  async pause(queue: string): Promise<boolean> {
    return this.change({
      name: 'pause-queue',
      text: 'insert into paused_queues (queue) values ($1) on conflict do nothing',
      values: [queue],
    });
  }

  /** Lets workers take jobs of a queue again. @returns whether it was paused. */
  async resume(queue: string): Promise<boolean> {
    return this.change({
      name: 'resume-queue',
      text: 'delete from paused_queues where queue = $1',
      values: [queue],
    });
  }

  facts(): Promise<QueueFacts> {
    return queueFacts(this.database);
  }

  /** The queues that migrations have declared, whether or not a contract has them still. */
  declared(): Promise<DeclaredQueue[]> {
    return rowsOf(this.database, { text: 'select name, bindings from declared_queues' });
  }

  /** Notes what is declared. */
  async noteDeclared(queues: readonly DeclaredQueue[]): Promise<void> {
    await this.database.query({
      text: `
        insert into declared_queues (name, bindings) select * from unnest($1::text[], $2::json[])
        on conflict (name) do update set bindings = excluded.bindings`,
      values: [queues.map(({ name }) => name), queues.map(({ bindings }) => JSON.stringify(bindings))],
    });
  }

  /** Forgets a queue that was deleted, and whether it was paused. */
  async forget(queue: string): Promise<void> {
    await this.database.query({ text: 'delete from declared_queues where name = $1', values: [queue] });
    await this.resume(queue);
  }

  async paused(): Promise<Set<string>> {
    const rows = await rowsOf<{ queue: string }>(this.database, {
      name: 'paused-queues',
      text: 'select queue from paused_queues',
    });
    return new Set(rows.map(({ queue }) => queue));
  }

  /**
   * Counts the jobs of each queue that has any, or is paused, by name; rarely more than once a second, however many ask.
   *
   * @param known queues that are listed even so.
   */
  async list(known: Iterable<string> = []): Promise<QueueView[]> {
    const views = await this.views.get();
    const others = [...known].filter((name) => !views.some(({ queue }) => queue === name));
    return [...views, ...others.map(emptyQueue)].sort((a, b) => (a.queue < b.queue ? -1 : 1));
  }

  /** How many messages are due and not known to be with the broker, and since when the oldest of them is. */
  async outbox(): Promise<{ pending: number; oldest: Date | null }> {
    const [row] = await rowsOf<{ pending: number; oldest: Date | null }>(this.database, {
      name: 'outbox-depth',
      text: 'select count(*)::int as pending, min(publish_at) as oldest from jobs where publish_at <= now()',
    });
    return row ?? { pending: 0, oldest: null };
  }

  /** Whether jobs of these queues are on their way to the broker, or will be within a time. */
  async expect(queues: readonly string[], withinMs: number): Promise<boolean> {
    const rows = await rowsOf(this.database, {
      name: 'expect-jobs',
      // The outbox is never later than this after a job's own time; it has the index.
      text: `
        select from jobs
        where publish_at <= now() + $2 * interval '1 millisecond' + interval '15 seconds'
          and run_at <= now() + $2 * interval '1 millisecond'
          and queue = any ($1::text[]) and state in ('scheduled', 'queued', 'retrying')
        limit 1`,
      values: [queues, withinMs],
    });
    return rows.length > 0;
  }

  private async count(): Promise<QueueView[]> {
    const [rows, paused] = await Promise.all([
      rowsOf<{ queue: string; state: OpenState; count: number; oldest: Date | null }>(this.database, COUNT),
      this.paused(),
    ]);
    const views = new Map<string, QueueView>();
    const view = (queue: string) => {
      const found = views.get(queue) ?? emptyQueue(queue);
      views.set(queue, found);
      return found;
    };
    for (const queue of paused) view(queue).paused = true;
    for (const { queue, state, count, oldest } of rows) {
      view(queue)[state] = count;
      if (state === 'queued') view(queue).oldestWaiting = oldest;
    }
    return [...views.values()];
  }

  private async change(statement: Statement): Promise<boolean> {
    const { rowCount } = await this.database.query(statement);
    this.views.clear();
    return rowCount === 1;
  }
}

const emptyQueue = (queue: string): QueueView => ({
  queue,
  scheduled: 0,
  queued: 0,
  running: 0,
  retrying: 0,
  dead: 0,
  oldestWaiting: null,
  paused: false,
});

/** Reads indexes, whose ids sort by time, and no jobs that ended well. PostgreSQL before 18 has no min(uuid). */
const COUNT: Statement = {
  name: 'count-queues',
  text: `
    select c.queue, c.state, c.count, (select run_at from jobs where id = c.oldest::uuid) as oldest
    from (
      select queue, state, count(*)::int as count, min(id::text collate "C") filter (where state = 'queued') as oldest
      from (
        select queue, state, id from jobs
        where state in ('scheduled', 'queued', 'running', 'retrying', 'dead') and ${HAS_STATE_INDEXED}
        union all
        select queue, state, id from jobs where ${IS_QUEUED_IN_OUTBOX}
      ) open
      group by queue, state
    ) c`,
};
