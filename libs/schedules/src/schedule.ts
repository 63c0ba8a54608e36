import { createHash } from 'node:crypto';
import { type Duration, toMilliseconds } from '#config';
import {
  type AnyContract,
  ContractError,
  fittingJson,
  hasEncrypted,
  type PayloadInput,
  readTags,
} from '#jobs';
import { Ticks, type Timing } from './ticks.js';

/** What becomes of ticks at which no worker ran: none is made up for, one for all of them, or each of the newest 100. */
export const missedPolicies = ['skip', 'once', 'all'] as const;
export type Missed = (typeof missedPolicies)[number];
/** What becomes of a tick whose predecessor's job has not ended: it makes a job all the same, or none. */
export const overlapPolicies = ['allow', 'skip'] as const;
export type Overlap = (typeof overlapPolicies)[number];

/** A recurring job. Made by {@link defineSchedule}. */
export interface Schedule extends Timing {
  readonly name: string;
  readonly job: AnyContract;
  readonly payload: unknown;
  readonly missed: Missed;
  readonly overlap: Overlap;
  readonly jitterMs: number;
  /** What its jobs are found by; absent without any. */
  readonly tags?: readonly string[];
}

/** A {@link Schedule} as the database has it. */
export interface Spec extends Omit<Schedule, 'name' | 'job'> {
  readonly job: string;
}

/** A name is part of a URL, as that of a contract. */
const NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const NAME_LENGTH = 100;

/**
 * Defines a recurring job.
 *
 * ```ts
 * export const nightlyReport = defineSchedule({
 *   name: 'report.nightly',
 *   cron: '30 2 * * *',
 *   timeZone: 'Europe/Berlin',
 *   job: GenerateReport,
 *   payload: { from: '2026-01-01', to: '2026-12-31' },
 * });
 * ```
 *
 * Without `timeZone` the clock is UTC's. `missed` is `once` and `overlap` is `allow` unless they say otherwise. With
 * `jitter` each job waits up to that long after its tick, always as long for the same tick.
 *
 * @throws ContractError when anything of it cannot be used: zone, expression, payload. It says what and why.
 */
export function defineSchedule<C extends AnyContract>(definition: ScheduleDefinition<C>): Schedule {
  const { name, cron, timeZone = 'UTC', job, payload, jitter = '0ms' } = definition;
  const { missed = 'once', overlap = 'allow' } = definition;
  const fail = (problem: string): never => {
    throw new ContractError(`defineSchedule(${JSON.stringify(name)}): ${problem}`);
  };
  const attempt = <T>(task: () => T): T => {
    try {
      return task();
    } catch (error) {
      return fail((error as Error).message);
    }
  };

  if (typeof name !== 'string' || name.length > NAME_LENGTH || !NAME.test(name)) {
    fail(
      `name must be at most ${NAME_LENGTH} of a-z 0-9 _ - in parts joined by dots, such as "report.nightly"`,
    );
  }
  attempt(() => new Ticks({ cron, timeZone }));
  if (!job?.payload) fail('job is not a contract: make one with defineJob. Is its import circular?');
  if (hasEncrypted(job.payload))
    fail(
      `${job.name} has encrypted() parts, and a schedule's payload is stored as it is: let another job enqueue it`,
    );
  // As the database will have it, and as each tick will find it.
  const stored = attempt(() => JSON.parse(fittingJson(job, 'payload', payload, Number.POSITIVE_INFINITY)));
  if (!['skip', 'once', 'all'].includes(missed)) fail('missed must be "skip", "once" or "all"');
  if (!['allow', 'skip'].includes(overlap)) fail('overlap must be "allow" or "skip"');
  const jitterMs = attempt(() => toMilliseconds(jitter));
  const tags = attempt(() => readTags(definition.tags ?? []));
  const made = { name, cron, timeZone, job, payload: stored, missed, overlap, jitterMs };
  return Object.freeze(tags ? { ...made, tags } : made);
}

export interface ScheduleDefinition<C extends AnyContract = AnyContract> {
  name: string;
  cron: string;
  timeZone?: string;
  job: C;
  payload: PayloadInput<C>;
  missed?: Missed;
  overlap?: Overlap;
  jitter?: Duration;
  tags?: readonly string[];
}

export function toSpec({ name: _, job, ...rest }: Schedule): Spec {
  return { ...rest, job: job.name };
}

/** How long after its tick a job may run: the same in every process, as if thrown by dice for each tick. */
export function jitterOf({ name, jitterMs }: Pick<Schedule, 'name' | 'jitterMs'>, tick: Date): number {
  if (jitterMs === 0) return 0;
  const dice = createHash('sha256').update(`${name} ${tick.toISOString()}`).digest().readUInt32BE();
  return Math.floor((dice / 2 ** 32) * jitterMs);
}
