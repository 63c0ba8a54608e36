import { Injectable } from '@nestjs/common';
import { OverloadedError, RecordsDatabase, StatementBatcher } from '#records';
import { DatabaseClock } from './database-clock.js';
import type { Pace } from './pace.js';

/** A job that wants to start under a limit. */
export interface RateRequest {
  /** The contract. */
  name: string;
  /** Which of its limits. */
  key: string;
  pace: Pace;
}

/** A time to start, as this process's monotonic clock shows it; or how long to put the job off. */
export type Turn = { startAt: number; until: number } | { delayMs: number };

/** A key that is new to the table may be pruned between the two statements that make it and use it. */
const TRIES = 5;

/**
 * Gives out times to start by the database's clock: one row for each limit and key (the generic cell rate algorithm), one
 * statement for all that a worker has in flight. A job without a time within reach is put off at the limit's spacing.
 */
@Injectable()
export class RateLimiter {
  private readonly clock = new DatabaseClock();
  private readonly requests: StatementBatcher<RateRequest, Turn>;

  constructor(private readonly database: RecordsDatabase) {
    // One at a time: two statements of one worker would wait for each other's rows.
    this.requests = new StatementBatcher((requests) => this.takeAll(requests), { concurrency: 1 });
  }

  /** Asks for a time to start. @throws DatabaseUnavailableError, OverloadedError */
  take(request: RateRequest): Promise<Turn> {
    return this.requests.add(request);
  }

  /** Drops the rows that say nothing any more. */
  async prune(): Promise<void> {
    await this.database.query({
      name: 'prune-rates',
      text: `
        with idle as (
          select name, key from rate_limits
          where next_at < now() and queue_at < now()
          order by name, key for update skip locked
        )
        delete from rate_limits r using idle where r.name = idle.name and r.key = idle.key`,
    });
  }

  private async takeAll(requests: RateRequest[]): Promise<Turn[]> {
    const groups = new Map<string, RateRequest[]>();
    for (const request of requests) {
      const id = `${request.name}\n${request.key}`;
      groups.set(id, [...(groups.get(id) ?? []), request]);
    }
    const turns = new Map<RateRequest, Turn>();
    let open = [...groups.values()];
    for (let tries = 0; open.length > 0; tries++) {
      if (tries === TRIES) throw new OverloadedError(TRIES);
      const answers = await this.ask(open);
      open = open.filter((group, index) => {
        const answer = answers[index];
        if (!answer) return true;
        for (const [position, request] of group.entries())
          turns.set(request, this.turnOf(request, answer, position));
        return false;
      });
      if (open.length > 0) await this.make(open);
    }
    return requests.map((request) => turns.get(request) as Turn);
  }

  private turnOf({ pace: { stepMs, slackMs } }: RateRequest, answer: Answer, position: number): Turn {
    const { granted, now, from, queuedFrom } = answer;
    if (position >= granted)
      return { delayMs: Math.max(0, queuedFrom - now) + (position - granted) * stepMs };
    const slot = Math.max(now, from + position * stepMs);
    const startAt = this.clock.latest(slot);
    // Half of the slack is for a database so far away that its clock cannot be read any better.
    return { startAt, until: Math.max(this.clock.earliest(slot) + slackMs, startAt + slackMs / 2) };
  }

  /** @returns for each group what it was given; undefined where its row does not exist. */
  private async ask(groups: RateRequest[][]): Promise<(Answer | undefined)[]> {
    const paces = groups.map(([first]) => (first as RateRequest).pace);
    const sentAt = performance.now();
    const { rows } = await this.database.query<Answer & { position: number }>({
      name: 'take-turns',
      text: `
        with wanted as (
          select * from unnest($1::text[], $2::text[], $3::int[], $4::float8[], $5::float8[], $6::float8[])
            with ordinality as w (name, key, count, step, ahead, hold, position)
        ), held as materialized (
          select r.name, r.key, r.next_at, r.queue_at from rate_limits r
          where (r.name, r.key) in (select w.name, w.key from wanted w)
          order by r.name, r.key for update
        ), based as materialized (
          select w.*, clock.now, h.queue_at, greatest(h.next_at, clock.now) as next_at
          from held h join wanted w on w.name = h.name and w.key = h.key
          -- not now(): that is the time before we waited for the row
          cross join lateral (select clock_timestamp() as now) clock
        ), given as (
          select b.*, least(count, greatest(0, 1 + floor(
            (hold + ahead - extract(epoch from next_at - now) * 1000)::float8 / step)))::int as granted
          from based b
        ), moved as (
          select g.*, next_at + granted * step * interval '1 millisecond' as new_next_at,
            greatest(queue_at, next_at + (granted * step - ahead) * interval '1 millisecond') as queued_from
          from given g
        )
        update rate_limits r
        set next_at = m.new_next_at,
            queue_at = case when m.count > m.granted
              then m.queued_from + (m.count - m.granted) * m.step * interval '1 millisecond' else m.queue_at end
        from moved m
        where r.name = m.name and r.key = m.key
        returning m.position::int, m.granted,
          (extract(epoch from m.now) * 1000)::float8 as now,
          (extract(epoch from m.next_at) * 1000 - m.ahead)::float8 as from,
          (extract(epoch from m.queued_from) * 1000)::float8 as "queuedFrom"`,
      values: [
        groups.map(([first]) => first?.name),
        groups.map(([first]) => first?.key),
        groups.map(({ length }) => length),
        paces.map(({ stepMs }) => stepMs),
        paces.map(({ aheadMs }) => aheadMs),
        paces.map(({ holdMs }) => holdMs),
      ],
    });
    const receivedAt = performance.now();
    for (const { now } of rows) this.clock.observe(now, sentAt, receivedAt);
    const byPosition = new Map(rows.map((row) => [row.position, row]));
    return groups.map((_, index) => byPosition.get(index + 1));
  }

  private async make(groups: RateRequest[][]): Promise<void> {
    await this.database.query({
      name: 'make-rates',
      text: `
        insert into rate_limits (name, key, next_at, queue_at)
        select n.name, n.key, now(), now() from unnest($1::text[], $2::text[]) as n (name, key)
        order by n.name, n.key
        on conflict do nothing`,
      values: [groups.map(([first]) => first?.name), groups.map(([first]) => first?.key)],
    });
  }
}

/** What a group of requests was given, in milliseconds of the database's clock. */
interface Answer {
  /** So many of them may start, the first at `from`. */
  granted: number;
  now: number;
  from: number;
  /** When the first of the others is to ask again. */
  queuedFrom: number;
}
