import { Injectable } from '@nestjs/common';
import type { Priority } from '#define-job';
import { CRASHED_ATTEMPT } from './claim-statements.js';
import { columns } from './columns.js';
import { saidInSql } from './error-form.js';
import { RecordsDatabase, rowsOf } from './records-database.js';
import {
  comesAfter,
  HAS_STATE_INDEXED,
  IS_QUEUED_IN_OUTBOX,
  LOCKED_WORKERS,
  lockOf,
  makeHeldDue,
  STATE,
} from './statements.js';
import { type ReceivedMessage, readKept } from './unprocessable-messages.js';

/** A job whose message the broker may not have. */
export interface DueRecord {
  id: string;
  name: string;
  queue: string;
  priority: Priority;
  traceparent: string | null;
  state: 'queued' | 'retrying' | 'running' | 'dead';
  attempt: number;
  claim: number;
  version: number;
  /** JSON text; null when it is longer than the relay asked for, and when there is none. */
  payload: string | null;
  /** What was received, of a message that was unprocessable; its body is null when it is longer than that. */
  received: (Omit<ReceivedMessage, 'body'> & { body: Buffer | null }) | null;
  /** What the last failed attempt died of. */
  error: string | null;
}

/** What was received, as it is kept; nothing where there is none. */
interface DueMessage {
  routingKey: string;
  properties: string | null;
  headers: string;
  body: Buffer | null;
}

/** A job under the claim that its record shows. One that was claimed since has another number, and is left alone. */
interface ClaimedJob {
  id: string;
  claim: number;
}

/** Where jobs belong, as the contracts have it. */
export interface Homes {
  /** Queues that some contract has: what is in one of them stays there. */
  current: string[];
  /** The queue of each contract, by its name. */
  of: Record<string, string>;
}
const NO_HOMES: Homes = { current: [], of: {} };
const homeOf = (job: string, homes: string) =>
  `case when ${homes}::jsonb -> 'current' ? ${job}.queue then ${job}.queue
    else coalesce(${homes}::jsonb -> 'of' ->> ${job}.name, ${job}.queue) end`;

/** Jobs that are read or written by one statement, when there may be very many. */
const PAGE = 1_000;
/** Whether no message is on its way, since no worker knows the job. */
const IS_HELD = `coalesce(j.publish_at = j.held_until, false)`;
/** Whether a job's message is not known to the broker yet. No index has this expression, for the reason given at `STATE`. */
const IS_PENDING = `coalesce(j.publish_at, 'infinity') <> 'infinity'`;

/**
 * Jobs whose message the broker may not have, or that no message will bring back. `publish_at` says when the relay publishes
 * a job unless somebody has done so before.
 */
@Injectable()
export class OutboxStore {
  constructor(private readonly database: RecordsDatabase) {}

  /** Notes that the broker has confirmed the messages of these jobs, unless they moved on since. */
  async markPublished(published: readonly ClaimedJob[]): Promise<void> {
    await this.database.query({
      name: 'mark-published',
      text: `
        update jobs j set publish_at = null
        from unnest($1::uuid[], $2::int[]) as p (id, claim)
        where j.id = p.id and j.claim = p.claim and ${IS_PENDING}`,
      values: columns(published, 'id', 'claim'),
    });
  }

  /**
   * Takes the jobs that are due to be published, oldest first, and keeps other relays from them for a while; anyone who
   * dies in between leaves them to be taken again. No lock is held while they are published.
   *
   * @param lookBackMs how long ago they became due at most. Whatever passed through the outbox may still lie in its
   *   index, and each look goes through that again: with no bound, a transaction held open makes looks ever longer.
   * @param leaseMs how long others leave them alone.
   * @param payloadLimit bytes of payload, or of a received body, that are read at most.
   */
  async takeDue(
    limit: number,
    lookBackMs: number,
    leaseMs: number,
    payloadLimit: number,
  ): Promise<DueRecord[]> {
    const rows = await rowsOf<DueRecord & DueMessage>(this.database, {
      name: 'take-due',
      text: `
        with due as (
          select id, publish_at from jobs
          where publish_at <= now() and publish_at > now() - $4 * interval '1 millisecond'
          order by publish_at
          limit $1
          for update skip locked
        ), taken as (
          update jobs j
          set publish_at = now() + $2 * interval '1 millisecond',
              state = case when j.state = 'scheduled' then 'queued' else j.state end
          from due
          where j.id = due.id
          returning j.id, j.name, j.queue, j.priority, j.traceparent, j.state, j.attempt, j.claim, j.version,
            ${saidInSql(`j.attempts -> -1 -> 'error'`)} as error,
            case when octet_length(j.payload::text) <= $3 then j.payload::text end as payload, due.publish_at
        )
        select t.id, t.name, t.queue, t.priority, t.traceparent, t.state, t.attempt, t.claim, t.version, t.error,
          t.payload,
          m.routing_key as "routingKey", m.properties::text, m.headers::text,
          case when octet_length(m.body) <= $3 then m.body end as body
        from taken t left join unprocessable_messages m on m.job = t.id
        order by t.publish_at, t.id`,
      values: [limit, leaseMs, payloadLimit, lookBackMs],
    });
    return rows.map(({ routingKey, properties, headers, body, ...record }) => ({
      ...record,
      received:
        properties === null
          ? null
          : { routingKey, properties: readKept(properties), headers: readKept(headers), body },
    }));
  }

  /** Makes jobs that could not be published due again after a pause, in milliseconds, unless they have moved on. */
  async postponePublish(jobs: readonly ClaimedJob[], pauseMs: number): Promise<void> {
    await this.database.query({
      name: 'postpone-publish',
      text: `
        update jobs j set publish_at = now() + $3 * interval '1 millisecond'
        from unnest($1::uuid[], $2::int[]) as o (id, claim)
        where j.id = o.id and j.claim = o.claim and ${IS_PENDING} and ${STATE} in ('queued', 'retrying', 'dead')`,
      values: [...columns(jobs, 'id', 'claim'), pauseMs],
    });
  }

  /**
   * Makes waiting jobs due again whose message reached no queue, in the queue of their contract if theirs is gone. The new
   * claim number voids the confirm of that message.
   */
  async republishUnrouted(ids: readonly string[], pauseMs: number, homes = NO_HOMES): Promise<void> {
    await this.database.query({
      name: 'republish-unrouted',
      text: `
        update jobs j
        set publish_at = now() + $2 * interval '1 millisecond', claim = claim + 1, queue = ${homeOf('j', '$3')}
        where id = any ($1::uuid[]) and state in ('queued', 'retrying')`,
      values: [ids, pauseMs, JSON.stringify(homes)],
    });
  }

  /**
   * Makes jobs due that are held for a worker that knows them, if one lives that does and serves their queue. Those that
   * were held least often come first: beside old workers, one may be held again.
   *
   * @param limit how many at most. @returns how many.
   */
  async makeHeldDue(limit: number): Promise<number> {
    const { rowCount } = await this.database.query(makeHeldDue(limit));
    return rowCount ?? 0;
  }

  /** Workers that have no session lock at this moment, since they ended or lost their connection. */
  async missingWorkers(): Promise<number[]> {
    const rows = await rowsOf<{ id: number }>(this.database, {
      name: 'missing-workers',
      text: `select id from workers where id <> all (array(${LOCKED_WORKERS}))`,
    });
    return rows.map(({ id }) => id);
  }

  /** Makes what these workers were running wait for the same attempt again, unless they are alive. @returns how many. */
  async rescue(workers: readonly number[]): Promise<number> {
    const { rowCount } = await this.database.query({
      name: 'rescue',
      text: `
        update jobs j
        set state = case when j.cancel_requested_at is null then 'queued' else 'cancelled' end,
            finished_at = case when j.cancel_requested_at is not null then now() end,
            publish_at = case when j.cancel_requested_at is null then now() end,
            held_until = null, options = j.options - 'startBy', attempt = j.attempt - 1, crashes = j.crashes + 1, attempts = j.attempts || ${CRASHED_ATTEMPT}
        where j.state = 'running' and j.worker = any ($1::int[]) and not exists (${lockOf('j.worker')})`,
      values: [workers],
    });
    return rowCount ?? 0;
  }

  /**
   * Makes every unfinished job due again, as if the broker had none of their messages: queued and retrying ones, and
   * running ones whose worker is gone, but those that are held. A job whose queue no contract has any more, even one that
   * is scheduled, held or dead, comes to the queue of its contract. Publishing again is harmless, so this may be done at
   * any time, and again.
   *
   * @param onPage told how many jobs are due so far. @param homes without them each stays in its queue.
   */
  async republishAll(onPage: (pending: number) => void = () => {}, homes = NO_HOMES): Promise<number> {
    // Queued again, they are counted with the others.
    await this.rescue(await this.missingWorkers());
    let total = await this.hasten(homes);
    for (const state of ['queued', 'retrying', 'scheduled', 'dead'] as const) {
      for (let after: string | null = null, isMore = true; isMore; ) {
        const page = await this.republish(state, after, homes);
        after = page?.last ?? null;
        isMore = after !== null;
        total += page?.pending ?? 0;
        onPage(total);
      }
    }
    return total;
  }

  /** Makes queued jobs due that the relays have still to publish. @returns how many. */
  private async hasten(homes: Homes): Promise<number> {
    const { rowCount } = await this.database.query({
      name: 'hasten',
      text: `
        update jobs j set publish_at = least(publish_at, now()), queue = ${homeOf('j', '$1')}
        where ${IS_QUEUED_IN_OUTBOX}`,
      values: [JSON.stringify(homes)],
    });
    return rowCount ?? 0;
  }

  /** How many of the jobs up to an id the relays have still to publish. */
  async pendingUpTo(id: string): Promise<number> {
    const [row] = await rowsOf<{ pending: number }>(this.database, {
      name: 'pending-up-to',
      text: `
        select count(*)::int as pending from jobs
        where publish_at is distinct from held_until and publish_at is not null and state = 'queued'
          and id <= $1::uuid`,
      values: [id],
    });
    return row?.pending ?? 0;
  }

  /** Makes one page of the waiting jobs of a state due again, oldest first; of the others, those that come to another queue. */
  private async republish(
    state: 'queued' | 'retrying' | 'scheduled' | 'dead',
    after: string | null,
    homes: Homes,
  ): Promise<{ last: string | null; pending: number } | undefined> {
    const [page] = await rowsOf<{ last: string | null; pending: number }>(this.database, {
      name: 'republish',
      text: `
        with page as (
          select id, name, queue from jobs
          where state = $3 and ${HAS_STATE_INDEXED} and ${comesAfter('$1')} order by id limit $2
        ), moved as (
          select id, ${homeOf('page', '$4')} as queue from page
        ), pending as (
          update jobs j
          set queue = m.queue, publish_at = case when ${IS_HELD} or j.state = 'scheduled' then j.publish_at
            when j.state = 'dead' then now()
            else least(j.publish_at, case when j.state = 'retrying' then greatest(j.run_at, now()) else now() end) end
          from moved m
          where j.id = m.id and j.state = $3
            and (j.state in ('queued', 'retrying') and not ${IS_HELD} or j.queue <> m.queue)
          returning j.id, j.state in ('queued', 'retrying') and not ${IS_HELD} as is_due
        )
        select (select id from page order by id desc limit 1) as last,
          (select count(*)::int from pending where is_due) as pending`,
      values: [after, PAGE, state, JSON.stringify(homes)],
    });
    return page;
  }
}
