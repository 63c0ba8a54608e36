import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { Duty } from '#common';
import { namesOf } from '#define-job';
import { ContractError, Contracts, Jobs } from '#jobs';
import { eachApart, type Queryable, RecordsDatabase } from '#records';
import { decideTicks, dueTicks } from './decide-ticks.js';
import { jitterOf, type Schedule, type Spec, toSpec } from './schedule.js';
import * as sql from './statements.js';
import { Ticks } from './ticks.js';

/** How often due schedules are searched: a tick is late by at most this. */
const PAUSE_MS = 500;
const CONFIRM_EVERY_MS = 10_000;

/** The schedules of an app: a module's exports, or a list. */
export const SCHEDULES = Symbol('schedules');

interface Known {
  schedule: Schedule;
  spec: Spec;
  ticks: Ticks;
}

/**
 * Makes a job for each tick, without a leader: the tick's row and its job are one transaction, and `skip locked` keeps
 * workers apart. A worker fires only schedules that its own code declares in the same way as the row.
 */
@Injectable()
export class Scheduler extends Duty implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly known = new Map<string, Known>();
  private declaredAt: number | undefined;
  /** Schedules that the database does not take as the code declares them. */
  private readonly unstorable = new Set<string>();
  /** What could not fire, until all others were looked at: many of them must not keep the others from being looked at. */
  private readonly passedOver = new Set<string>();
  /** More are due than one look takes. */
  private isBehind = false;
  /** What fails at the moment, by the schedule. */
  private readonly failures = new Map<string, string>();

  constructor(
    @Inject(SCHEDULES) private readonly schedules: readonly Schedule[],
    private readonly contracts: Contracts,
    private readonly jobs: Jobs,
    private readonly database: RecordsDatabase,
  ) {
    super({ name: 'Firing schedules', intervalMs: PAUSE_MS });
  }

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
    this.logger.log({ msg: 'Schedules loaded', count: this.known.size, timeZoneData: process.versions.tz });
    this.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.stop();
  }

  /** @returns whether there may be more. */
  protected async run(): Promise<boolean> {
    if (this.declaredAt === undefined || Date.now() - this.declaredAt > CONFIRM_EVERY_MS)
      await this.declare();
    const known = [...this.known.values()].map(({ schedule: { name }, spec }) => ({ name, spec }));
    const storable = known.filter(({ name }) => !this.unstorable.has(name));
    const jobs = [...this.contracts].flatMap(namesOf);
    const { rows } = await this.database.query<{ name: string; spec: Spec }>(
      sql.due(storable, jobs, [...this.passedOver]),
    );
    for (const { name, spec } of rows) {
      // A schedule that cannot fire must not block the others.
      await this.fire(name, spec).then(
        () => this.failures.delete(name),
        (error) => {
          this.passedOver.add(name);
          this.onFailure(name, error);
        },
      );
    }
    this.isBehind = rows.length >= sql.DUE_AT_ONCE;
    return this.isBehind;
  }

  private async declare(): Promise<void> {
    const isStart = this.declaredAt === undefined;
    const [clock] = (await this.database.query<{ now: Date }>(sql.clock)).rows as [{ now: Date }];
    this.unstorable.clear();
    if (!this.isBehind) this.passedOver.clear();
    await eachApart(
      [...this.known.values()],
      async (known) => {
        const declarations = known.map(({ schedule: { name }, spec, ticks }) => ({
          ...{ name, spec },
          nextAt: ticks.after(clock.now),
        }));
        await this.database.query(sql.declare(declarations, isStart));
      },
      ({ schedule: { name } }, error) => {
        this.unstorable.add(name);
        this.onFailure(name, error);
      },
    );
    const { rows } = await this.database.query<{ name: string; before: boolean }>(
      sql.disableOthers([...this.known.keys()], isStart),
    );
    for (const { name, before } of rows)
      if (!before) this.logger.warn(`Schedule ${name} is disabled: no code declares it`);
    this.declaredAt = Date.now();
  }

  private async fire(name: string, given: Spec): Promise<void> {
    const { schedule, spec, ticks } = this.known.get(name) ?? this.madeAtRunTime(name, given);
    await this.database.transaction(async (transaction) => {
      const { rows } = await transaction.query(sql.take(schedule.name, spec));
      const [row] = rows as { planned: Date; now: Date; busy: boolean }[];
      if (!row) return;
      const decisions = decideTicks(dueTicks(ticks, row.planned, row.now), row.now, schedule, row.busy);
      const missed = decisions.filter(({ outcome }) => outcome === 'missed');
      if (missed.length > 0) {
        const first = missed[0]?.tick.toISOString();
        const { name, missed: policy } = schedule;
        this.logger.warn({ msg: 'Missed ticks', schedule: name, count: missed.length, first, policy });
      }
      const job = await this.enqueue(schedule, decisions, transaction);
      await transaction.query(sql.advance(schedule.name, ticks.after(row.now), job));
    });
  }

  private madeAtRunTime(name: string, spec: Spec): Known {
    return { schedule: { ...spec, name, job: this.jobs.contract(spec.job) }, spec, ticks: new Ticks(spec) };
  }

  /** @returns the newest job's id, if there is one. */
  private async enqueue(
    schedule: Schedule,
    decisions: ReturnType<typeof decideTicks>,
    transaction: Queryable,
  ): Promise<string | undefined> {
    const { rows } = await transaction.query(sql.insertTicks(schedule.name, decisions));
    const isNew = new Set((rows as { tick: Date }[]).map(({ tick }) => tick.getTime()));
    let newest: string | undefined;
    for (const { tick, outcome } of decisions) {
      if (outcome !== 'enqueued' || !isNew.has(tick.getTime())) continue;
      const runAt = new Date(tick.getTime() + jitterOf(schedule, tick));
      const { job, payload, tags } = schedule;
      const { id } = await this.jobs.enqueue(job, payload, { runAt, tags, transaction });
      await transaction.query(sql.linkTick(schedule.name, tick, id));
      newest = id;
    }
    return newest;
  }

  /** Logs once for each cause, not once for each try. */
  private onFailure(name: string, { message }: Error): void {
    if (this.failures.get(name) !== message)
      this.logger.warn(name ? `Schedule ${name} cannot fire: ${message}` : message);
    this.failures.set(name, message);
  }
}
