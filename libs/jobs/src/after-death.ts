import { Injectable } from '@nestjs/common';
import { ContractError, type DeadJob, isPromise, type JobToEnqueue, type OnDead } from '#define-job';
import {
  DeadJobStore,
  type Death,
  type Dying,
  type FollowingRecord,
  type JobOptions,
  type StoredError,
} from '#records';
import { Log } from '#telemetry';
import { Contracts } from './contracts.js';
import { Jobs } from './jobs.js';
import { meterOf } from './lifecycle/meter.js';
import type { Decision } from './lifecycle/outcome.js';
import type { ClaimedJob } from './lifecycle/run-attempt.js';
import { shownPayload } from './shown-payload.js';
import { readThrown } from './thrown.js';

/** Deaths that may follow each other: a job that `onDead` made may die, too. */
const MAX_DEATHS = 10;

/** What the options of a job say that `onDead` has made: after how many deaths, and whether by the one for all jobs. */
interface Made {
  deaths: number;
  byOneForAll?: true;
}

/** Makes the jobs that `onDead` names, of a contract or for all. The statement that makes a job dead inserts them. */
@Injectable()
export class AfterDeath {
  constructor(
    private readonly jobs: Jobs,
    private readonly contracts: Contracts,
    private readonly dead: DeadJobStore,
    private readonly log: Log,
  ) {}

  /** Adds the job to a settlement by which a claimed job is dead. */
  addTo({ settlement }: Decision, { job, claim }: ClaimedJob): void {
    if (!this.isAsked(job.name)) return;
    const { version, options, tags, attempt } = claim;
    const { id, name, traceparent = null } = job;
    const dying = { id, name, traceparent, version, options, tags, payload: claim.payload ?? job.payload };
    Object.assign(settlement, this.after({ ...dying, attempt }, settlement.error as string));
  }

  /** Dead-letters jobs that wait, with the jobs that follow. @returns how many; the others have moved on. */
  async deadLetter(
    deaths: readonly (Death & { name: string })[],
    why: 'by broker' | 'late',
  ): Promise<number> {
    const names = await this.dead.deadLetter(await this.withFollowing(deaths), why);
    for (const name of names) meterOf(this.contracts.find(name)).died();
    return names.length;
  }

  private async withFollowing(deaths: readonly (Death & { name: string })[]): Promise<Death[]> {
    const asked = deaths.filter(({ name }) => this.isAsked(name));
    if (asked.length === 0) return [...deaths];
    const found = new Map((await this.dead.dying(asked.map(({ id }) => id))).map((job) => [job.id, job]));
    return deaths.map((death) => {
      const job = found.get(death.id);
      return job ? { ...death, ...this.after({ ...job, attempt: death.attempt }, death.error) } : death;
    });
  }

  private isAsked(name: string): boolean {
    return (this.contracts.find(name)?.onDead ?? this.contracts.onDead) !== undefined;
  }

  /** @returns the job, if there is one, and the error as the record is to have it. Never throws. */
  private after(job: Dying & { attempt: number }, stored: string): Pick<Death, 'error' | 'onDead'> {
    const error: StoredError = JSON.parse(stored);
    try {
      return { error: stored, onDead: this.make(job, error) };
    } catch (thrown) {
      const { name: type, message } = readThrown(thrown);
      const { id, name, attempt } = job;
      this.log.error(
        { job: id, name, attempt, err: { type, message } },
        'onDead failed: nothing is enqueued for this death',
      );
      const onDead = `${type}: ${message}`.slice(0, 500).replaceAll('\0', '\uFFFD').toWellFormed();
      return { error: JSON.stringify({ ...error, onDead }) };
    }
  }

  private make(
    { options, tags, ...job }: Dying & { attempt: number },
    error: StoredError,
  ): FollowingRecord | undefined {
    const before = options?.onDead as Made | undefined;
    const contract = this.contracts.find(job.name);
    const own = contract?.onDead;
    const onDead = own ?? (before?.byOneForAll ? undefined : this.contracts.onDead);
    if (!onDead) return undefined;
    const deaths = (before?.deaths ?? 0) + 1;
    if (deaths > MAX_DEATHS)
      throw new ContractError(`${MAX_DEATHS} jobs that onDead made have died one after the other`);
    const { id, name, version, attempt } = job;
    const { payload } = shownPayload({ payload: JSON.parse(job.payload ?? 'null'), version }, contract);
    const wanted = named(onDead, { id, name, payload, error, attempts: attempt });
    if (!wanted) return undefined;
    const { queue } = wanted.options ?? {};
    if (queue !== undefined && !this.jobs.hasQueue(queue))
      throw new ContractError(`No contract has the queue "${queue}"`);
    const record = this.jobs.prepare(wanted.contract, wanted.payload, {
      tags: tags ?? undefined,
      ...wanted.options,
    });
    const isByOneForAll = before?.byOneForAll ?? (own ? undefined : true);
    const made = { deaths, ...(isByOneForAll && { byOneForAll: isByOneForAll }) };
    return marked({ ...record, traceparent: job.traceparent ?? record.traceparent }, { onDead: made });
  }
}

/** @throws what is wrong with what a function named. */
function named(onDead: OnDead, dead: DeadJob): JobToEnqueue | undefined {
  const given: unknown = onDead(dead);
  if (isPromise(given)) {
    given.then(undefined, () => {});
    throw new ContractError('It gave a promise: it must not be asynchronous');
  }
  const wanted = given as JobToEnqueue | undefined;
  if (wanted && !wanted.contract?.payload)
    throw new ContractError('It gave no job: return job(Contract, payload)');
  const { unique, debounce } = wanted?.options ?? {};
  if (unique ?? debounce) throw new ContractError('Its job can have neither a unique nor a debounce key');
  return wanted;
}

/** A record and those that follow it, with this among their options. */
const marked = (record: FollowingRecord, mark: JobOptions): FollowingRecord => ({
  ...record,
  options: { ...record.options, ...mark },
  next: record.next && marked(record.next, mark),
});
