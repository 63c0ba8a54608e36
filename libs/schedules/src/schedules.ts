import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { type Duration, formatDuration } from '#config';
import { Contracts, Jobs, redact } from '#jobs';
import { type JobView, type Queryable, RecordsDatabase } from '#records';
import { Id, Time } from '#resources';
import { type TickDecision, tickOutcomes } from './decide-ticks.js';
import { missedPolicies, overlapPolicies, type Spec } from './schedule.js';
import * as sql from './statements.js';
import { Ticks } from './ticks.js';

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
    state: z
      .enum(['active', 'paused', 'disabled'])
      .describe("`disabled`: the workers' code does not declare it any more"),
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
  nextAt: Date;
  lastJob: string | null;
  tick: Date | null;
  outcome: TickDecision['outcome'];
  job: string | null;
}

/** Looks at schedules and operates them, as the workers have declared them. */
@Injectable()
export class Schedules {
  constructor(
    private readonly database: RecordsDatabase,
    private readonly jobs: Jobs,
    private readonly contracts: Contracts,
  ) {}

  async list(): Promise<ScheduleView[]> {
    return (await this.database.query<Row>(sql.view(null))).rows.map((row) => this.view(row));
  }

  async find(name: string): Promise<ScheduleView | undefined> {
    return (await this.database.query<Row>(sql.view(name))).rows.map((row) => this.view(row))[0];
  }

  /** Enqueues a schedule's job now, between its ticks, which it leaves as they are. @returns undefined when it is unknown or disabled. */
  async run(name: string): Promise<JobView | undefined> {
    return this.locked(name, async ({ spec, disabled }, transaction) => {
      if (disabled) return undefined;
      const contract = this.jobs.contract(spec.job);
      const { isNew: _, ...job } = await this.jobs.enqueue(contract, spec.payload, { transaction });
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

  private view(row: Row): ScheduleView {
    const view = toView(row);
    return { ...view, payload: redact(view.payload, this.contracts.find(view.job)?.payload) };
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

function toView({ name, spec, paused, disabled, nextAt, lastJob, tick, outcome, job }: Row): ScheduleView {
  const { jitterMs, ...shown } = spec;
  const state = disabled ? 'disabled' : paused ? 'paused' : 'active';
  return {
    name,
    ...shown,
    jitter: formatDuration(jitterMs),
    state,
    lastTick: tick && { at: tick, outcome, job },
    lastJob,
    next: state === 'active' ? [nextAt, ...ticksAfter(spec, nextAt)] : [],
  };
}

/** None where this process does not know what the workers declared, such as a new time zone. */
function ticksAfter(spec: Spec, nextAt: Date): Date[] {
  try {
    return new Ticks(spec).next(SHOWN_TICKS - 1, nextAt);
  } catch {
    return [];
  }
}
