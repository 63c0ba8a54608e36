import { Injectable } from '@nestjs/common';
import type { Priority } from '#define-job';
import * as sql from './outbox-statements.js';
import { RecordsDatabase } from './records-database.js';
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

/** Jobs that are read or written by one statement, when there may be very many. */
const PAGE = 1_000;

/**
 * What is not known to the broker yet: jobs whose message it may not have, and jobs that no message will bring back because
 * their worker is gone. The relay works through it; a rebuild fills it.
 */
@Injectable()
export class OutboxStore {
  constructor(private readonly database: RecordsDatabase) {}

  /** Notes that the broker has confirmed the messages of these jobs, unless they moved on since. */
  async markPublished(published: readonly { id: string; claim: number }[]): Promise<void> {
    await this.database.query(sql.markPublished(published));
  }

  /**
   * Takes the jobs that are due to be published, oldest first, and keeps other relays from them for a while; anyone who
   * dies in between leaves them to be taken again.
   *
   * @param leaseMs how long others leave them alone.
   * @param payloadLimit bytes of payload, or of a received body, that are read at most.
   */
  async takeDue(limit: number, leaseMs: number, payloadLimit: number): Promise<DueRecord[]> {
    const { rows } = await this.database.query<DueRecord & DueMessage>(
      sql.takeDue(limit, leaseMs, payloadLimit),
    );
    return rows.map(({ routingKey, properties, headers, body, ...record }) => ({
      ...record,
      received:
        properties === null
          ? null
          : { routingKey, properties: readKept(properties), headers: readKept(headers), body },
    }));
  }

  /** Makes jobs that could not be published due again after a pause, in milliseconds. */
  async postponePublish(jobs: readonly { id: string; claim: number }[], pauseMs: number): Promise<void> {
    await this.database.query(sql.postponePublish(jobs, pauseMs));
  }

  /** Makes waiting jobs due again whose message was confirmed, but reached no queue. */
  async republishUnrouted(ids: readonly string[], pauseMs: number): Promise<void> {
    await this.database.query(sql.republishUnrouted(ids, pauseMs));
  }

  /** Workers that are gone and, by the records, still run something. */
  async goneWorkers(): Promise<number[]> {
    const { rows } = await this.database.query<{ worker: number }>(sql.goneWorkers());
    return rows.map(({ worker }) => worker);
  }

  /** Which of these workers are gone, or do not show at the moment that they are alive. */
  async missingOf(workers: readonly number[]): Promise<number[]> {
    const { rows } = await this.database.query<{ worker: number }>(sql.missingOf(workers));
    return rows.map(({ worker }) => worker);
  }

  /** Releases what these workers were running, for the jobs that no message brings back. @returns how many. */
  async rescue(workers: readonly number[]): Promise<number> {
    const { rows } = await this.database.query(sql.rescue(workers));
    return rows.length;
  }

  /**
   * Makes every unfinished job due again, as if the broker had none of their messages: queued and retrying ones, and
   * running ones whose worker is gone. Publishing again is harmless, so this may be done at any time, and again.
   *
   * @param onPage told how many jobs are due so far.
   */
  async republishAll(onPage: (pending: number) => void = () => {}): Promise<number> {
    // Queued again, they are counted with the others.
    await this.rescue(await this.goneWorkers());
    let total = 0;
    for (const state of ['queued', 'retrying'] as const) {
      for (let after: string | null = null, isMore = true; isMore; ) {
        const { rows }: { rows: { last: string | null; pending: number }[] } = await this.database.query(
          sql.republish(state, after, PAGE),
        );
        after = rows[0]?.last ?? null;
        isMore = after !== null;
        total += rows[0]?.pending ?? 0;
        onPage(total);
      }
    }
    return total;
  }

  /** How many of the jobs up to an id the relays have still to publish. */
  async pendingUpTo(id: string): Promise<number> {
    const { rows } = await this.database.query<{ pending: number }>(sql.pendingUpTo(id));
    return rows[0]?.pending ?? 0;
  }
}
