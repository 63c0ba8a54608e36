import { setTimeout as pause } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { counted } from '#config';
import { ContractError, Contracts, Jobs } from '#jobs';
import { Database, type Queryable } from '#records';
import { decide, dueTicks } from './decide.js';
import { jitterOf, type Schedule, type Spec, toSpec } from './schedule.js';
import * as sql from './statements.js';
import { Ticks } from './ticks.js';

/** How often is looked for due schedules: the longest that a tick is late. */
const PAUSE_MS = 500;
/** How often the rows are confirmed; see `declare`. */
const CONFIRM_EVERY_MS = 10_000;

/** The schedules of an app: a module's exports, or a list. */
export const SCHEDULES = Symbol('schedules');

interface Known {
  schedule: Schedule;
  spec: Spec;
  ticks: Ticks;
}

/**
 * Makes a job for each tick. It runs in every worker and needs no leader: a tick's row and its job are written in one
 * transaction, the row's key is the schedule and the tick, and `skip locked` keeps workers from waiting for each
 * other. What fires is what the worker's own code says; a row that says something else is left to the workers that
 * say so too.
 */
@Injectable()
export class Scheduler implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(Scheduler.name);
  private readonly stopping = new AbortController();
  private readonly known = new Map<string, Known>();
  private loop: Promise<void> = Promise.resolve();
  private declaredAt: number | undefined;
  private failure: string | undefined;

  constructor(
    @Inject(SCHEDULES) private readonly schedules: readonly Schedule[],
    private readonly contracts: Contracts,
    private readonly jobs: Jobs,
    private readonly database: Database,
  ) {}

  /** @throws ContractError when two schedules have one name, or the app does not have a schedule's contract. */
  onModuleInit(): void {
    for (const schedule of this.schedules) {
      const { name, job } = schedule;
      if (this.known.has(name)) {
        throw new ContractError(`Two schedules are named "${name}": give one of them another name`);
      }
      if (this.contracts.find(job.name) !== job) {
        throw new ContractError(
          `The schedule ${name} enqueues ${job.name}, which is not among the contracts: export it from there`,
        );
      }
      this.known.set(name, { schedule, spec: toSpec(schedule), ticks: new Ticks(schedule) });
    }
  }

  onApplicationBootstrap(): void {
    this.logger.log(`Schedules: ${this.known.size}, time zone data ${process.versions.tz}`);
    this.loop = this.run();
  }

  /** Ends after the tick at hand. */
  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.once();
        this.failure = undefined;
      } catch (error) {
        this.onFailure(error as Error);
      }
      await pause(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }

  private async once(): Promise<void> {
    if (this.declaredAt === undefined || Date.now() - this.declaredAt > CONFIRM_EVERY_MS)
      await this.declare();
    const known = [...this.known.values()].map(({ schedule: { name }, spec }) => ({ name, spec }));
    const { rows } = await this.database.query<{ name: string }>(sql.due(known));
    let failure: unknown;
    for (const { name } of rows) {
      // One that cannot be enqueued must not keep the others from it.
      await this.fire(this.known.get(name) as Known).catch((error) => (failure = error));
    }
    if (failure) throw failure;
  }

  /** Brings the rows in line with the code. */
  private async declare(): Promise<void> {
    const isStart = this.declaredAt === undefined;
    await this.database.transaction(async (transaction) => {
      const [{ now }] = (await transaction.query(sql.clock())).rows as [{ now: Date }];
      const declarations = [...this.known.values()].map(({ schedule: { name }, spec, ticks }) => ({
        name,
        spec,
        nextAt: ticks.after(now),
      }));
      await transaction.query(sql.declare(declarations, isStart));
      const { rows } = await transaction.query(sql.disableOthers([...this.known.keys()], isStart));
      for (const { name, before } of rows as { name: string; before: boolean }[]) {
        if (!before) this.logger.warn(`The schedule ${name} is disabled: the code does not declare it`);
      }
    });
    this.declaredAt = Date.now();
  }

  private async fire({ schedule, spec, ticks }: Known): Promise<void> {
    await this.database.transaction(async (transaction) => {
      const { rows } = await transaction.query(sql.take(schedule.name, spec));
      const [row] = rows as { planned: Date; now: Date; busy: boolean }[];
      if (!row) return;
      const decisions = decide(dueTicks(ticks, row.planned, row.now), row.now, schedule, row.busy);
      const missed = decisions.filter(({ outcome }) => outcome === 'missed');
      if (missed.length > 0) {
        const first = missed[0]?.tick.toISOString();
        this.logger.warn(
          `${schedule.name} missed ${counted(missed.length, 'tick')} since ${first} (${schedule.missed})`,
        );
      }
      const job = await this.enqueue(schedule, decisions, transaction);
      await transaction.query(sql.advance(schedule.name, ticks.after(row.now), job));
    });
  }

  /** @returns the newest job's id, if there is one. */
  private async enqueue(
    schedule: Schedule,
    decisions: ReturnType<typeof decide>,
    transaction: Queryable,
  ): Promise<string | undefined> {
    const { rows } = await transaction.query(sql.insertTicks(schedule.name, decisions));
    const isNew = new Set((rows as { tick: Date }[]).map(({ tick }) => tick.getTime()));
    let newest: string | undefined;
    for (const { tick, outcome } of decisions) {
      if (outcome !== 'enqueued' || !isNew.has(tick.getTime())) continue;
      const runAt = new Date(tick.getTime() + jitterOf(schedule, tick));
      const { id } = await this.jobs.enqueue(schedule.job, schedule.payload, { runAt, transaction });
      await transaction.query(sql.linkTick(schedule.name, tick, id));
      newest = id;
    }
    return newest;
  }

  /** One line when something begins to fail, not one each time. */
  private onFailure({ message }: Error): void {
    if (message !== this.failure) this.logger.warn(message);
    this.failure = message;
  }
}
