import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { type Duration, formatDuration, Settings } from '#config';
import { type AnyContract, Contracts, fittingJson, Jobs, type PayloadInput, redact, restored } from '#jobs';
import { type JobView, type Queryable, RecordsDatabase } from '#records';
import { Id, Time } from '#resources';
import { type TickDecision, tickOutcomes } from './decide-ticks.js';
import {
  defineSchedule,
  missedPolicies,
  overlapPolicies,
  type Schedule,
  type ScheduleDefinition,
  type Spec,
  toSpec,
} from './schedule.js';
import * as sql from './statements.js';
import { Ticks, type Timing } from './ticks.js';

const SHOWN_TICKS = 5;

export const ScheduleView = z
  .strictObject({
    name: z.string(),
    cron: z.string(),
    timeZone: z.string(),
    job: z.string().describe('The contract of its jobs'),
    payload: z.unknown(),
    missed: z.enum(missedPolicies),
    overlap: z.enum(overlapPolicies),
    jitter: z.custom<Duration>().meta({ type: 'string', examples: ['30s'] }),
    tags: z.array(z.string()).readonly().describe('Of its jobs'),
    state: z
      .enum(['active', 'paused', 'disabled'])
      .describe("`disabled`: the workers' code does not declare it any more"),
    madeBy: z.enum(['code', 'run-time']).describe('Those of the code cannot be changed at run time'),
    lastTick: z
      .strictObject({ at: Time, outcome: z.enum(tickOutcomes), job: Id.nullable() })
      .nullable()
      .describe('The newest tick that was decided on, and its job if it made one'),
    lastJob: Id.nullable().describe('The newest job, made by a tick or by hand'),
    next: z.array(Time).describe('The next five ticks; none unless it is active'),
  })
  .meta({ id: 'Schedule' });
export type ScheduleView = z.output<typeof ScheduleView>;

interface Row {
  name: string;
  spec: Spec;
  paused: boolean;
  disabled: boolean;
  atRunTime: boolean;
  nextAt: Date;
  lastJob: string | null;
  tick: Date | null;
  outcome: TickDecision['outcome'];
  job: string | null;
}

/** More than a person reads; each takes some ticks of reckoning. */
export const MAX_LISTED = 1_000;

/** A schedule of the code cannot be changed at run time. */
export class ScheduleOfCodeError extends Error {
  override readonly name = 'ScheduleOfCodeError';
  constructor(schedule: string) {
    super(`The schedule ${schedule} is declared by the workers' code: change it there, or take another name`);
  }
}

/** Looks at schedules and operates them: those that the workers have declared, and those made at run time. */
@Injectable()
export class Schedules {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly jobs: Jobs,
    private readonly contracts: Contracts,
    private readonly settings: Settings,
  ) {}

  /** Schedules by name, from the one after `after` on, at most `limit`; if `isOfCode`, those that the code declares. */
  async list({
    limit = MAX_LISTED,
    ...which
  }: {
    after?: string;
    limit?: number;
    isOfCode?: boolean;
  } = {}): Promise<ScheduleView[]> {
    const { rows } = await this.database.query<Row>(sql.view(null, { limit, ...which }));
    return rows.map((row) => this.view(row));
  }

  /**
   * Makes a schedule at run time, or changes one that was made so: as `defineSchedule`, beside those of the code. What is
   * `[redacted]` in the payload of one that is changed stays as it is.
   *
   * ```ts
   * await this.schedules.put({ name: `digest.${tenant}`, cron: '0 7 * * *', timeZone, job: SendDigest, payload: { tenant } });
   * ```
   *
   * @returns whether it is new. @throws ContractViolationError when the payload does not fit; ContractError when anything else
   * cannot be used; ScheduleOfCodeError when the code declares it.
   */
  async put<C extends AnyContract>(definition: ScheduleDefinition<C>): Promise<boolean> {
    const schedule = await this.check(definition);
    const [{ now }] = (await this.database.query<{ now: Date }>(sql.clock)).rows as [{ now: Date }];
    const nextAt = new Ticks(schedule).after(now);
    const { rows } = await this.database.query<{ isNew: boolean }>(
      sql.put(schedule.name, toSpec(schedule), nextAt),
    );
    if (!rows[0]) throw new ScheduleOfCodeError(schedule.name);
    return rows[0].isNew;
  }

  /** Makes nothing. @returns what would be made. @throws as {@link put} does. */
  async check<C extends AnyContract>(given: ScheduleDefinition<C>): Promise<Schedule> {
    const { rows } = await this.database.query<Row>(sql.view(given.name));
    const payload = restored(given.payload, rows[0]?.spec.payload);
    // First by itself: it says where in the payload something does not fit.
    if (given.job?.payload) fittingJson(given.job, 'payload', payload, this.settings.MAX_PAYLOAD);
    return defineSchedule({ ...given, payload: payload as PayloadInput<C> });
  }

  /**
   * Deletes a schedule that was made at run time, or is disabled; its jobs stay.
   *
   * @returns whether there was one. @throws ScheduleOfCodeError when the code declares it.
   */
  async delete(name: string): Promise<boolean> {
    if ((await this.database.query(sql.remove(name))).rows.length > 0) return true;
    if (await this.find(name)) throw new ScheduleOfCodeError(name);
    return false;
  }

  async find(name: string): Promise<ScheduleView | undefined> {
    return (await this.database.query<Row>(sql.view(name))).rows.map((row) => this.view(row))[0];
  }

  /** Enqueues a schedule's job now, between its ticks, which it leaves as they are. @returns undefined when it is unknown or disabled. */
  async run(name: string): Promise<JobView | undefined> {
    return this.locked(name, async ({ spec, disabled }, transaction) => {
      if (disabled) return undefined;
      const contract = this.jobs.contract(spec.job);
      const { payload, tags } = spec;
      const { isNew: _, ...job } = await this.jobs.enqueue(contract, payload, { tags, transaction });
      await transaction.query(sql.noteJob(name, job.id));
      return job;
    });
  }

  /** Lets no tick of a schedule fire until it is resumed. @returns whether that changed anything. */
  async pause(name: string): Promise<boolean> {
    return (await this.database.query(sql.pause(name))).rowCount === 1;
  }

  /**
   * Lets a schedule fire again, from its next tick on: what fell into the pause was not missed.
   *
   * @returns whether it was paused.
   */
  async resume(name: string): Promise<boolean> {
    const wasPaused = await this.locked(name, async ({ spec, paused, now }, transaction) => {
      if (paused) await transaction.query(sql.resume(name, new Ticks(spec).after(now)));
      return paused;
    });
    return wasPaused ?? false;
  }

  private view({ name, atRunTime, lastJob, nextAt, ...row }: Row): ScheduleView {
    const { jitterMs, payload, tags = [], ...spec } = row.spec;
    const state = row.disabled ? 'disabled' : row.paused ? 'paused' : 'active';
    return {
      ...{ name, ...spec, tags, state, lastJob },
      payload: redact(payload, this.contracts.find(spec.job)?.payload),
      jitter: formatDuration(jitterMs),
      madeBy: atRunTime ? 'run-time' : 'code',
      lastTick: row.tick && { at: row.tick, outcome: row.outcome, job: row.job },
      next: state === 'active' ? [nextAt, ...ticksAfter(row.spec, nextAt)] : [],
    };
  }

  private locked<T>(
    name: string,
    task: (
      row: Pick<Row, 'spec' | 'paused' | 'disabled'> & { now: Date },
      transaction: Queryable,
    ) => Promise<T>,
  ): Promise<T | undefined> {
    return this.database.transaction(async (transaction) => {
      const { rows } = await transaction.query(sql.lock(name));
      const [row] = rows as Parameters<typeof task>[0][];
      return row && task(row, transaction);
    });
  }
}

/** When a schedule fires, from now on. */
export const nextTicks = (timing: Timing): Date[] => new Ticks(timing).next(SHOWN_TICKS, new Date());

/** None where this process does not know what the workers declared, such as a new time zone. */
function ticksAfter(spec: Spec, nextAt: Date): Date[] {
  try {
    return new Ticks(spec).next(SHOWN_TICKS - 1, nextAt);
  } catch {
    return [];
  }
}
