import { hostname } from 'node:os';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { PollingLoop } from '#common';
import { Database, hangUp } from './database.js';
import { asPassing } from './database-errors.js';

/** First half of the key of every worker's advisory lock; the second is the worker's id. */
export const WORKER_LOCK_CLASS = 0x7761_7272;
/** The same for duties that one worker does for all; the second half is the duty. */
const DUTY_LOCK_CLASS = 0x7761_7273;
/** Workers of all versions that run beside each other agree on these numbers: a new duty gets a new one. */
const LEADER_DUTIES = { deadLetters: 1, batches: 4, heldJobs: 5, startDeadlines: 6 } as const;
export type LeaderDuty = keyof typeof LEADER_DUTIES;
const RECONNECT_PAUSE_MS = 500;
/** How often the session is tried: a connection that died without a word must not be taken for a held lock. */
const CHECK_EVERY_MS = 5_000;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Shows that this worker is alive: a session lock, which PostgreSQL releases when the process or its machine is gone. A job
 * whose worker holds its lock is never given to a second one.
 */
@Injectable()
export class WorkerLock implements OnApplicationShutdown {
  private readonly logger = new Logger(WorkerLock.name);
  /** What people know this worker by. */
  readonly name = `${hostname()}:${process.pid}`;
  private worker: number | undefined;
  private session: pg.Client | undefined;
  private readonly duties = new Set<LeaderDuty>();
  private starting: Promise<number> | undefined;
  /** A session answers one question at a time. */
  private asked: Promise<unknown> = Promise.resolve();
  private readonly loop = new PollingLoop(
    { name: 'Checking the lock of this worker', logger: this.logger, intervalMs: RECONNECT_PAUSE_MS },
    () => this.check(),
  );

  constructor(private readonly database: Database) {}

  /**
   * The id of this worker, once it holds its lock; registers the worker when first asked.
   *
   * @throws DatabaseUnavailableError while the lock cannot be had.
   */
  async id(): Promise<number> {
    if (this.worker !== undefined && this.session) return this.worker;
    this.starting ??= this.takeLock().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  /**
   * Whether this worker is the one that does a duty for all: the first that asks, for as long as its session lives.
   *
   * @throws DatabaseUnavailableError while that cannot be asked.
   */
  isLeader(duty: LeaderDuty): Promise<boolean> {
    const answer = this.asked.then(() => this.askToLead(duty));
    this.asked = answer.catch(() => {});
    return answer;
  }

  private async askToLead(duty: LeaderDuty): Promise<boolean> {
    await this.id();
    const { session } = this;
    if (!session || this.duties.has(duty)) return this.duties.has(duty);
    const keys = [DUTY_LOCK_CLASS, LEADER_DUTIES[duty]];
    const { rows } = await session
      .query('select pg_try_advisory_lock($1, $2) as leads', keys)
      .catch((error) => {
        throw asPassing(error);
      });
    if (rows[0].leads && this.session === session) this.duties.add(duty);
    return this.duties.has(duty);
  }

  get isHeld(): boolean {
    return this.session !== undefined;
  }

  /** Nest calls it last. From here on this worker's unfinished jobs may be taken by others. */
  async onApplicationShutdown(): Promise<void> {
    const stopped = this.loop.stop();
    const { session } = this;
    this.session = undefined;
    if (session) await hangUp(session);
    await stopped;
  }

  private async takeLock(): Promise<number> {
    const session = await this.database.connect(ANSWER_TIMEOUT_MS);
    try {
      if (this.worker === undefined) {
        const { rows } = await session.query('insert into workers (name) values ($1) returning id', [
          this.name,
        ]);
        this.worker = rows[0].id as number;
      }
      // A machine that vanished is noticed after 10 + 3 × 5 s instead of the two hours that are usual.
      await session.query(
        'set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3',
      );
      // Waits for the server to notice that a former session of ours has ended.
      await session.query('select pg_advisory_lock($1, $2)', [WORKER_LOCK_CLASS, this.worker]);
    } catch (error) {
      await hangUp(session);
      throw asPassing(error);
    }
    this.session = session;
    session.on('end', () => this.onLost(session));
    this.loop.start(CHECK_EVERY_MS);
    return this.worker;
  }

  /** Takes the lock again when its session was lost. */
  private async check(): Promise<number> {
    const { session } = this;
    if (session) await session.query('select 1').catch(() => this.onLost(session));
    else await this.id();
    return this.session ? CHECK_EVERY_MS : RECONNECT_PAUSE_MS;
  }

  private onLost(session: pg.Client): void {
    void hangUp(session);
    if (this.session !== session) return;
    this.session = undefined;
    this.duties.clear();
    this.logger.warn('Lost the session of the worker lock; taking the lock again');
    this.loop.wake();
  }
}
