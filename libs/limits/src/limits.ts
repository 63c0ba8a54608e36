import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { firstNameOf, namesOf } from '#define-job';
import {
  Admission,
  type AnyContract,
  ContractError,
  type Deferral,
  type HandlerLimits,
  type IncomingJob,
  type Permit,
  parseOrThrow,
  upgraded,
} from '#jobs';
import { JobQueries } from '#records';
import { ConcurrencyLimiter, type Slot } from './concurrency-limiter.js';
import { LimitsKeeper } from './limits-keeper.js';
import { type Pace, paceOf } from './pace.js';
import { RateLimiter, type RateRequest } from './rate-limiter.js';

interface Limit {
  contract: AnyContract;
  /** `title` says which limit it is, for people. */
  rate?: { pace: Pace; key?: KeyOf; title: string };
  concurrency?: { max: number; key?: KeyOf; title: string };
}
type KeyOf = (payload: unknown) => string;

/** How far a job is put off that waits for a slot. It is woken as soon as a slot is free; this is for lost wake-ups. */
const WAIT_MS = 600_000;
/** A job that misses this many start times, because the process is too busy, is put off. */
const START_TRIES = 5;
/** Longer keys are kept as their digest. */
const KEY_LENGTH = 200;

/** Admits jobs within the limits of their contracts: first a slot, then a time to start. */
@Injectable()
export class Limits extends Admission {
  private readonly logger = new Logger(Limits.name);
  private readonly known = new Map<string, Limit>();

  constructor(
    private readonly rates: RateLimiter,
    private readonly slots: ConcurrencyLimiter,
    private readonly keeper: LimitsKeeper,
    private readonly queries: JobQueries,
  ) {
    super();
  }

  override register(contract: AnyContract, { rateLimit, concurrency }: HandlerLimits): void {
    const limit: Limit = { contract };
    try {
      if (rateLimit) {
        const title = `rate limit of ${contract.name} (${rateLimit.max} in ${rateLimit.per})`;
        limit.rate = { pace: paceOf(rateLimit), key: rateLimit.key, title };
      }
      if (concurrency) {
        const { max, key } = concurrency;
        if (!Number.isInteger(max) || max < 1)
          throw new RangeError('concurrency.max must be a whole number from 1');
        const title = `concurrency limit of ${contract.name} (${max} at a time)`;
        limit.concurrency = { max, key, title };
      }
    } catch (error) {
      throw new ContractError(`@JobHandler(${contract.name}): ${(error as Error).message}`);
    }
    for (const name of namesOf(contract)) this.known.set(name, limit);
    this.keeper.start();
  }

  override limits(contract: string): boolean {
    return this.known.has(contract);
  }

  override async admit(job: IncomingJob): Promise<Permit | Deferral> {
    const limit = this.known.get(job.name);
    if (!limit) return {};
    const { contract, rate, concurrency } = limit;
    // Workers that know the contract by an earlier name share its limits.
    const name = firstNameOf(contract);
    const stored = job.payload === null ? await this.queries.stored(job.id) : undefined;
    const given = stored ? JSON.parse(stored.payload) : job.value;
    let payload: unknown;
    try {
      payload = parseOrThrow(contract, 'payload', upgraded(contract, 'payload', given, job.version));
    } catch {
      // It has no key and takes no turn, because it will fail without starting.
      return {};
    }

    let slot: Slot | undefined;
    if (concurrency) {
      const request = { name, key: this.keyOf(job, concurrency, payload), max: concurrency.max };
      slot = await this.slots.take(request);
      if (!slot) {
        const recorded = () => this.slots.wait(job.id, request);
        return { delayMs: WAIT_MS, limitedBy: concurrency.title, recorded };
      }
    }
    const release = () => slot && this.slots.release(slot);
    try {
      const pass = rate
        ? await this.turnOf({ name, key: this.keyOf(job, rate, payload), pace: rate.pace }, rate.title)
        : {};
      if ('delayMs' in pass) release();
      return { ...pass, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Waits for a time to start, if there is one within reach. */
  private async turnOf(request: RateRequest, limitedBy: string): Promise<Permit | Deferral> {
    let turn = await this.rates.take(request);
    if ('delayMs' in turn) return { ...turn, limitedBy };
    await reach(turn.startAt);
    const confirm = async () => {
      for (let tries = 0; 'until' in turn && performance.now() > turn.until; tries++) {
        if (tries === START_TRIES) return { delayMs: request.pace.holdMs, limitedBy };
        turn = await this.rates.take(request);
        if ('startAt' in turn) await reach(turn.startAt);
      }
      return 'delayMs' in turn ? { ...turn, limitedBy } : undefined;
    };
    return { confirm };
  }

  private keyOf({ name }: IncomingJob, { key }: { key?: KeyOf }, payload: unknown): string {
    if (!key) return '';
    try {
      const text = String(key(payload)).replaceAll('\0', '').toWellFormed();
      return text.length <= KEY_LENGTH ? text : createHash('sha256').update(text).digest('base64');
    } catch (error) {
      this.logger.warn(
        `The limit key of ${name} threw, so the job counts under no key: ${(error as Error).message}`,
      );
      return '';
    }
  }
}

/** Timers are early or late by a millisecond; this is never early. */
async function reach(time: number): Promise<void> {
  for (let left = time - performance.now(); left > 0; left = time - performance.now()) {
    await pause(Math.ceil(left));
  }
}
