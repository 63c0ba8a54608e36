import type {
  Claim,
  ClaimRequest,
  InsertedRecord,
  JobKey,
  JobQueries,
  JobState,
  JobStore,
  JobView,
  KeyedInsert,
  KeyedRecord,
  NewRecord,
  Settlement,
  StoredJob,
} from '#records';
import { hasEnded, viewOfNew } from '#records';

export interface MemoryRecord {
  readonly accepted: NewRecord;
  readonly createdAt: Date;
  readonly runAt: Date;
  state: JobState;
  attempt: number;
  claim: number;
  /** How long after the end of its last attempt the job would run again. */
  runInMs: number;
  /** JSON text, as are the errors of its failed attempts. */
  result: string | null;
  errors: { attempt: number; error: string }[];
  /** The job that `onDead` named. */
  onDead?: string;
  /** All that its handler told of its progress. */
  progress: { fraction: number; note?: string }[];
}

/** The records of jobs in memory, as far as `Jobs` and the `Executor` use them. There is one worker, which never dies. */
export class MemoryStore
  implements
    Pick<JobStore, 'insert' | 'insertMany' | 'insertKeyed' | 'insertAll'>,
    Pick<JobStore, 'cancel' | 'claim' | 'settle'>,
    Pick<JobQueries, 'find' | 'outcomeOf' | 'stored' | 'recentQueueFacts'>
{
  readonly jobs = new Map<string, MemoryRecord>();
  private readonly holders = new Map<string, { job: string; key: JobKey; until: number }>();

  /** Waited for after each job that is enqueued. */
  onAccepted: (id: string) => Promise<void> = async () => {};

  async insert(record: NewRecord): Promise<InsertedRecord> {
    const inserted = this.keep(record);
    await this.onAccepted(record.id);
    return inserted;
  }

  /** Makes the record of a job, which somebody else runs if it follows another one. */
  private keep(accepted: NewRecord): InsertedRecord {
    const { id, delayMs = 0 } = accepted;
    const createdAt = new Date();
    const runAt = accepted.runAt ?? new Date(createdAt.getTime() + delayMs);
    const state = runAt > createdAt ? 'scheduled' : 'queued';
    const untouched = { attempt: 0, claim: 0, runInMs: 0, result: null, errors: [], progress: [] };
    this.jobs.set(id, { ...untouched, accepted, createdAt, runAt, state });
    return { id, state, createdAt, runAt };
  }

  /** No queue is paused here, and nobody knows who serves one. */
  async recentQueueFacts(): Promise<undefined> {}

  async insertMany(records: readonly NewRecord[]): Promise<InsertedRecord[]> {
    const all = records.map((record) => this.keep(record));
    for (const { id } of all) await this.onAccepted(id);
    return all;
  }

  async insertKeyed({ key, ...record }: KeyedRecord): Promise<KeyedInsert> {
    const place = `${key.scope}\n${key.key}`;
    const held = this.holders.get(place);
    const holder = held && this.jobs.get(held.job);
    if (held && holder && (Date.now() < held.until || (held.key.untilEnded && !hasEnded(holder.state))))
      return { heldBy: { job: held.job, state: holder.state, fingerprint: held.key.fingerprint ?? null } };
    if (key.debounce && holder?.state === 'scheduled') {
      const endMs = holder.createdAt.getTime() + (key.debounce.maxMs ?? Number.POSITIVE_INFINITY);
      const { id } = holder.accepted;
      const runAt = new Date(Math.min(Date.now() + key.debounce.delayMs, endMs));
      this.jobs.set(id, { ...holder, runAt, accepted: { ...record, id } });
      return { heldBy: { job: id, state: 'scheduled', fingerprint: null } };
    }
    this.holders.set(place, { job: record.id, key, until: Date.now() + key.heldMs });
    return { inserted: await this.insert(record) };
  }

  async insertAll(records: readonly (NewRecord & { key?: JobKey })[]): Promise<KeyedInsert[]> {
    const all: KeyedInsert[] = [];
    for (const { key, ...record } of records)
      all.push(key ? await this.insertKeyed({ ...record, key }) : { inserted: await this.insert(record) });
    return all;
  }

  async claim({ id, attempt, wantsPayload }: ClaimRequest): Promise<Claim> {
    const job = this.get(id);
    const { maxAttempts, payload, previous = null, next, version = 1 } = job.accepted;
    const { options = null, tags = null } = job.accepted;
    Object.assign(job, { state: 'running', attempt, claim: job.claim + 1 });
    return {
      ...{
        taken: true,
        state: 'running',
        claim: job.claim,
        attempt,
        maxAttempts,
        createdMs: job.createdAt.getTime(),
        isFollowed: next ? true : null,
        version,
        isHeldOver: null,
        isLate: null,
      },
      ...{ crashes: 0, rescued: false, waited: 0, payload: wantsPayload ? payload : null, previous },
      ...{ options, tags },
    };
  }

  async settle({
    id,
    state,
    result,
    resultVersion,
    error,
    released,
    runInMs = 0,
    onDead,
  }: Settlement): Promise<JobState> {
    const job = this.get(id);
    if (error) job.errors.push({ attempt: job.attempt, error });
    Object.assign(job, { state, result: result ?? null, runInMs });
    if (released) job.attempt--;
    if (onDead) job.onDead = this.keep(onDead).id;
    const { next, name } = job.accepted;
    if (state === 'succeeded' && next)
      this.keep({
        ...next,
        previous: { id, name, result: JSON.parse(result ?? 'null'), version: resultVersion },
      });
    return state;
  }

  async find(id: string): Promise<JobView | undefined> {
    const job = this.jobs.get(id);
    return job && toView(job);
  }

  async stored(id: string): Promise<StoredJob | undefined> {
    const job = this.jobs.get(id);
    if (!job) return undefined;
    const { priority = 'normal', version = 1, ...given } = job.accepted;
    const { options = null, tags = null, next = null, previous = null } = given;
    return { ...given, state: job.state, priority, version, options, tags, next, previous };
  }

  async outcomeOf(id: string) {
    const job = this.jobs.get(id);
    return job && { name: job.accepted.name, state: job.state, result: JSON.parse(job.result ?? 'null') };
  }

  async cancel(ids: readonly string[]): Promise<{ id: string; state: JobState }[]> {
    const open = ids.filter((id) => this.jobs.has(id) && !hasEnded(this.get(id).state));
    for (const id of open) this.get(id).state = 'cancelled';
    return open.map((id) => ({ id, state: 'cancelled' }));
  }

  clear(): void {
    this.jobs.clear();
    this.holders.clear();
  }

  /** @throws when no job of this id was enqueued. */
  get(id: string): MemoryRecord {
    const job = this.jobs.get(id);
    if (!job) throw new Error(`No job ${id} was enqueued here`);
    return job;
  }
}

/** A job as clients would see it. Nothing takes time in these records: attempts start and end when it was accepted. */
export function toView(job: MemoryRecord): JobView {
  const { accepted, createdAt, runAt, state, attempt, errors, result, progress } = job;
  const at = createdAt.toISOString();
  const attempts = errors.map(({ attempt, error }) => ({
    ...{ attempt, outcome: 'failed' as const, worker: null, startedAt: at, finishedAt: at },
    error: JSON.parse(error),
  }));
  return {
    ...viewOfNew(accepted, { state, createdAt, runAt }),
    ...{ attempt, attempts, previous: accepted.previous ?? null },
    progress: state === 'succeeded' ? 1 : (progress.at(-1)?.fraction ?? null),
    progressNote: progress.at(-1)?.note ?? null,
    result: result === null ? null : JSON.parse(result),
    error: state === 'succeeded' ? null : (attempts.at(-1)?.error ?? null),
    startedAt: attempt > 0 ? createdAt : null,
    finishedAt: hasEnded(state) ? createdAt : null,
  };
}
