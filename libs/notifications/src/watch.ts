import { randomUUID } from 'node:crypto';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Cache, Duty } from '#common';
import { Settings } from '#config';
import { SendNotification } from '#contracts';
import { Jobs, job, Queues } from '#jobs';
import { Broker } from '#rabbitmq';
import { DatabaseUnavailableError, type Queue, RecordsDatabase, WorkerLock } from '#records';
import { assess, outage } from './assess.js';
import { REST_FACTOR } from './condition.js';
import { type News, type Notice, noticeOfDead, noticesOf, timeOf } from './notices.js';
import { LEASE_MS, type Look, type Memory, WatchStore } from './watch-store.js';
import { type Delivery, Webhooks } from './webhooks.js';

const POLL_INTERVAL_MS = 5_000;
/** In so many parts `NOTIFY_AFTER` is divided when it is short. */
const PARTS = 12;
/** So many times as long as counting queues takes, they are not counted again. */
const FRESH_FACTOR = 50;
/** Looks that a statement may take that makes jobs dead; what commits later than that is not told. */
const LAG_LOOKS = 2;
/** How often dead letters are told: those of a group not more often than this, and those of all groups together. */
const DEAD_EVERY_MS = 60_000;
/** What died earlier is not new, such as before there were notifications. */
const LOOK_BACK_MS = 24 * 3_600_000;
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Looks for what should be told. Every api and worker has one; whichever holds the lease in the database looks for all. What
 * is told is remembered, and its jobs are enqueued, in one transaction. While jobs cannot run, because the broker or all
 * workers are away, it sends by itself, and leaves to jobs what could not be sent.
 */
@Injectable()
export class Watch extends Duty implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly id = randomUUID();
  private readonly intervalMs: number;
  private readonly counts: Cache<Queue[]>;
  /** The last look of this process, if it was the last of all: by the database's clock, and by its own. */
  private last: { at: number; mark: number } | undefined;
  /** Whether this process has told that the database does not answer, and until when it does not do so again. */
  private isTold = false;
  private restsUntil = 0;

  constructor(
    private readonly settings: Settings,
    private readonly webhooks: Webhooks,
    private readonly store: WatchStore,
    private readonly database: RecordsDatabase,
    private readonly lock: WorkerLock,
    private readonly broker: Broker,
    private readonly jobs: Jobs,
    queues: Queues,
  ) {
    const intervalMs = Math.min(POLL_INTERVAL_MS, Math.ceil(settings.NOTIFY_AFTER / PARTS));
    super({ name: 'Looking for what to notify of', intervalMs });
    this.intervalMs = intervalMs;
    this.counts = new Cache(() => queues.list(), { freshMs: 2 * intervalMs, freshFactor: FRESH_FACTOR });
  }

  onApplicationBootstrap(): void {
    if (this.webhooks.all.length > 0) this.start(this.intervalMs);
  }

  async onModuleDestroy(): Promise<void> {
    await this.stop();
    if (this.last) await this.store.release(this.id).catch(() => {});
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const look = await this.store.take(this.id).catch((error) => this.onNoAnswer(error, signal));
    await this.tellReturn(look);
    this.last = look && { at: look.now.getTime(), mark: performance.now() };
    if (!look) return;

    const now = look.now.getTime();
    const { conditions: before = {}, deadUntil } = look.memory;
    const { isUp, blocked } = this.broker.publishing;
    const brokerIsUp = isUp && !blocked;
    const queues = brokerIsUp ? await this.counts.get() : [];
    const findings = { now, who: this.lock.name, brokerIsUp, queues };
    const { conditions, news } = assess(before, findings, this.settings);
    const dead = await this.lookAtDead(now, deadUntil);
    const memory: Memory = { deadUntil: dead.until, conditions };
    if (JSON.stringify(memory) === JSON.stringify(look.memory)) return;
    const deliveries = this.deliveries([...noticesOf(news), ...dead.notices]);
    const left = runsJobs(queues) ? deliveries : await this.send(deliveries, signal);
    await this.database.transaction(async (transaction) => {
      if (!(await this.store.remember(transaction, this.id, look, memory)) || left.length === 0) return;
      const jobs = left.map((delivery) => job(SendNotification, delivery));
      await this.jobs.enqueueAll(jobs, { transaction });
    });
  }

  private async lookAtDead(
    now: number,
    told = now - LAG_LOOKS * this.intervalMs,
  ): Promise<{ until: number; notices: Notice[] }> {
    const until = now - LAG_LOOKS * this.intervalMs;
    if (until - told < DEAD_EVERY_MS) return { until: told, notices: [] };
    const [first, ...others] = await this.store.newDead(Math.max(told, now - LOOK_BACK_MS), until);
    return first ? { until, notices: [noticeOfDead([first, ...others])] } : { until: told, notices: [] };
  }

  /** @returns what could not be sent. */
  private async send(deliveries: readonly Delivery[], stopping: AbortSignal): Promise<Delivery[]> {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const send = (delivery: Delivery) =>
      this.webhooks.send(delivery, { id: randomUUID(), at: new Date(), signal }).then(
        () => [],
        ({ message }: Error) => {
          this.logger.warn({ msg: `A notification was not sent: ${message}`, type: delivery.type });
          return [delivery];
        },
      );
    return (await Promise.all(deliveries.map(send))).flat();
  }

  /** Only the process that looked last tells that the database does not answer: without it, they cannot agree. */
  private async onNoAnswer(error: Error, signal: AbortSignal): Promise<never> {
    const { last, settings } = this;
    const now = performance.now();
    const isOutage = error instanceof DatabaseUnavailableError && !error.isOfSchema;
    const isDue = last && now >= Math.max(last.mark + settings.NOTIFY_AFTER, this.restsUntil);
    if (isOutage && isDue && !this.isTold) {
      this.restsUntil = now + settings.NOTIFY_AFTER;
      const deliveries = this.ofDatabase('begins', outage(this.lock.name, last.at));
      this.isTold = (await this.send(deliveries, signal)).length < deliveries.length;
    }
    throw error;
  }

  /** Tells that the database answers again, also when no process is left that knows of the outage. */
  private async tellReturn(look: Look | undefined): Promise<void> {
    const { last, isTold, settings } = this;
    const before = look?.before?.getTime() ?? Number.POSITIVE_INFINITY;
    const now = look?.now.getTime() ?? Date.now();
    const isGap = now - before > LEASE_MS + settings.NOTIFY_AFTER;
    if (!(isTold && last) && !isGap) return;
    const from = isTold && last ? last.at : before;
    const line = isTold
      ? outage(this.lock.name, from, now)
      : `No process reached it from ${timeOf(from)} to ${timeOf(now)}`;
    const jobs = this.ofDatabase('ends', line).map((delivery) => {
      const key = `database since ${from} for ${delivery.webhook}`;
      return job(SendNotification, delivery, { unique: { key, for: '1d' } });
    });
    await this.jobs.enqueueAll(jobs);
    this.isTold = false;
    this.restsUntil = performance.now() + REST_FACTOR * settings.NOTIFY_AFTER;
  }

  private ofDatabase(what: News['what'], line: string): Delivery[] {
    return this.deliveries(noticesOf([{ trouble: 'database-outage', what, line }]));
  }

  private deliveries(notices: readonly Notice[]): Delivery[] {
    const origin = this.settings.DASHBOARD_URL;
    const base = origin && new URL('/dashboard', origin).href;
    return notices.flatMap((notice) => {
      const link = base && (notice.type === 'dead-letters' ? `${base}/dead-letters` : base);
      return this.webhooks.all.map((webhook) => ({ ...notice, webhook, link }));
    });
  }
}

/** Whether workers are there that take the jobs by which notifications go. */
const runsJobs = (queues: readonly Queue[]) =>
  queues.some(
    ({ queue, consumers, paused }) => queue === SendNotification.queue && !paused && (consumers ?? 0) > 0,
  );
