import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { v7 as uuid } from 'uuid';
import { retryPolicy } from '#define-job';
import { decide, NonRetryableError, type Outcome } from '#jobs';
import {
  Database,
  DeadJobStore,
  JobQueries,
  type JobState,
  JobStore,
  type JobView,
  OutboxStore,
  QueueStore,
  type Taken,
  UnprocessableMessages,
  WorkerLock,
} from '#records';
import { type Environment, givenEnvironment } from '#testing/services';

/**
 * The life of jobs as the records see it, under whatever may happen to messages, workers and clocks. The database and
 * every statement are real; broker and handlers are played by this test, as badly as they can behave.
 */

/** The contract's retries; delays do not matter where the clock jumps at will. */
const RETRY = retryPolicy(['1m', '1h']);
const MAX_ATTEMPTS = RETRY.maxAttempts;
/** Versions of the contract that jobs may be of, and workers know. */
const NEWEST = 3;

interface Message {
  id: string;
  attempt: number;
}
/** A handler that runs, and the message that brought it; undefined once the broker took that back. */
interface Run {
  id: string;
  claim: number;
  attempt: number;
  message: Message | undefined;
}
interface Worker {
  records: JobStore;
  outbox: OutboxStore;
  lock: WorkerLock;
  runs: Run[];
}

/** The outbox is looked at as far back as it goes. */
const EVER_MS = 1e12;
let environment: Environment;
let database: Database;

beforeAll(async () => {
  environment = await givenEnvironment([]);
  database = new Database({ url: environment.databaseUrl, poolSize: 6 });
});
afterAll(async () => {
  await database?.onApplicationShutdown();
  await environment?.close();
});

function startWorker(): Worker {
  const lock = new WorkerLock(database);
  return {
    lock,
    records: new JobStore(database.records, lock),
    outbox: new OutboxStore(database.records),
    runs: [],
  };
}

/** One broker, two workers, and what was promised of the jobs so far. */
class World {
  readonly workers = [startWorker(), startWorker()];
  readonly dead = new DeadJobStore(database.records);
  readonly jobs: string[] = [];
  /** What lies in queues. Order is no promise, so any message may come next. */
  private readonly queue: Message[] = [];
  /** Confirms that are not noted in the records yet. */
  private readonly confirmed: { id: string; claim: number }[] = [];
  /** Handlers of workers that have lost their session and do not know it. */
  private readonly sleepwalkers: Worker = { ...this.workers[0]!, runs: [] };
  /** How often a handler started, by job, replay and attempt; and how often it was lost. */
  private readonly starts = new Map<string, number>();
  private readonly replays = new Map<string, number>();
  private readonly ended = new Map<string, JobState>();
  private readonly cancelledUnstarted = new Set<string>();
  private readonly views = new JobQueries(database.records, new UnprocessableMessages(database.records));
  private readonly queues = new QueueStore(database.records);
  private isPaused = false;
  /** Jobs that a limit put off and that were not claimed since. */
  private readonly limited = new Set<string>();
  /** The version of the contract that the workers know, and those of the jobs. */
  private known = 1;
  private readonly versions = new Map<string, number>();

  async enqueue(isConfirmed: boolean, version: number) {
    const id = uuid();
    const record = { id, name: 'a.b', queue: 'a', payload: '{}', version, maxAttempts: MAX_ATTEMPTS };
    this.versions.set(id, version);
    await this.any(0).records.insert(record);
    this.jobs.push(id);
    // Without a confirm nobody knows whether the broker has it; the worst is that it has not.
    if (isConfirmed) {
      this.queue.push({ id, attempt: 1 });
      this.confirmed.push({ id, claim: 0 });
    }
  }

  async deliver(which: number, to: number, exclusive = false) {
    const message = this.pick(this.queue, which);
    if (!message) return;
    const worker = this.any(to);
    // A worker does not claim what it runs already: it drops the second delivery.
    if (worker.runs.some(({ id, attempt }) => id === message.id && attempt === message.attempt)) return;
    const claim = await worker.records.claim({ ...message, name: 'a.b', wantsPayload: false, exclusive });
    if (claim.taken) {
      expect(this.cancelledUnstarted.has(message.id)).toBe(false);
      this.limited.delete(message.id);
      if (claim.version > this.known) return this.hold(worker, message, claim);
      expect(claim.attempt).toBeLessThanOrEqual(MAX_ATTEMPTS);
      this.started(message.id, claim.attempt, claim.crashes);
      worker.runs.push({ id: message.id, claim: claim.claim, attempt: claim.attempt, message });
    } else if (claim.mustRunExclusively) this.queue.push(message);
  }

  /** The worker does not know the job. */
  private async hold({ records }: Worker, { id }: Message, { claim, attempt, crashes, ...taken }: Taken) {
    const held: Outcome = { kind: 'held', needed: { 'a.b': taken.version }, ms: 86_400_000 };
    const unknown: Outcome = { kind: 'failed', error: new NonRetryableError('not known') };
    const { settlement } = decide(taken.isHeldOver ? unknown : held, RETRY, attempt);
    expect(await records.settle({ ...settlement, id, claim })).toBe(settlement.state);
    const [row] = await environment.sql('select state, attempt, crashes from jobs where id = $1', [id]);
    if (!taken.isHeldOver) expect(row).toEqual({ state: 'queued', attempt: attempt - 1, crashes });
  }

  /** The workers are started again, with newer or older code. */
  deploy(version: number) {
    this.known = version;
  }

  /** A limit does not let a delivered job start. */
  async putOff(which: number, to: number) {
    const message = this.pick(this.queue, which);
    if (!message) return;
    const { records, runs } = this.any(to);
    if (runs.some(({ id, attempt }) => id === message.id && attempt === message.attempt)) return;
    const putOff = { ...message, name: 'a.b' };
    if (!(await records.wouldStart({ ...putOff, wantsPayload: false, exclusive: true }))) return;
    await records.postpone({ ...putOff, delayMs: 60_000, limitedBy: 'the limit' });
    this.limited.add(message.id);
  }

  async pause(isPaused: boolean) {
    await (isPaused ? this.queues.pause('a') : this.queues.resume('a'));
    this.isPaused = isPaused;
  }

  /** A handler ends; `isAcked` false when the broker never heard the acknowledgement. */
  async finish(who: number, which: number, outcome: Outcome, isConfirmed: boolean, isAcked: boolean) {
    const worker = this.runner(who);
    const run = this.pick(worker.runs, which);
    if (!run) return;
    const record = (await this.rows()).find(({ id }) => id === run.id);
    const holdsJob = record?.state === 'running' && record.claim === run.claim;
    const { settlement, retryDelay, deadReason } = decide(outcome, RETRY, run.attempt);
    const { id, claim } = run;
    const state = await worker.records.settle({ ...settlement, id, claim });
    // A stale worker's outcome changes nothing.
    expect(state !== null).toBe(holdsJob);
    if (state === settlement.state && isConfirmed && (retryDelay || deadReason !== undefined)) {
      if (deadReason === undefined) this.queue.push({ id, attempt: run.attempt + 1 });
      this.confirmed.push({ id, claim });
    }
    if (run.message && (!isAcked || state === 'queued')) this.queue.push(run.message);
  }

  /** Publishes once more what lies in a queue. */
  duplicate(which: number) {
    const message = this.queue[which % Math.max(1, this.queue.length)];
    if (message) this.queue.push({ ...message });
  }

  /** The broker loses a message: its disk was deleted. Only a rebuild helps. */
  lose(which: number) {
    this.pick(this.queue, which);
  }

  async rebuild() {
    await this.any(0).outbox.republishAll();
  }

  async crash(who: number) {
    const index = who % this.workers.length;
    const gone = this.workers[index]!;
    this.cut(who);
    await gone.lock.onApplicationShutdown();
    this.workers[index] = startWorker();
  }

  /** A worker's session is gone and its messages are taken back, but its handlers go on. */
  async sleepwalk(who: number) {
    this.sleepwalkers.runs.push(...this.any(who).runs);
    await this.crash(who);
  }

  /** The confirm of some message is noted, however late. */
  async mark(which: number) {
    const confirmed = this.pick(this.confirmed, which);
    if (confirmed) await this.any(0).outbox.markPublished([confirmed]);
  }

  /** The broker takes back the messages of a worker that goes on with what it runs. */
  cut(who: number) {
    for (const run of this.any(who).runs) {
      if (run.message) this.queue.push(run.message);
      run.message = undefined;
    }
  }

  async cancel(which: number) {
    const id = this.jobs[which % Math.max(1, this.jobs.length)];
    if (!id) return;
    const [touched] = await this.any(0).records.cancel([id]);
    if (touched?.state === 'cancelled') this.cancelledUnstarted.add(id);
  }

  async replay(which: number) {
    const id = this.jobs[which % Math.max(1, this.jobs.length)];
    if (!id || (await this.dead.replay({ ids: [id] })) === 0) return;
    this.replays.set(id, (this.replays.get(id) ?? 0) + 1);
    this.ended.delete(id);
  }

  /** Whatever has a time has come to it. */
  async jump() {
    await environment.sql(
      `update jobs set publish_at = least(publish_at, now()), run_at = least(run_at, now()),
         held_until = least(held_until, now())
       where publish_at is not null`,
    );
  }

  async relay(isConfirmed: boolean) {
    const { outbox } = this.any(1);
    await outbox.rescue(await outbox.missingWorkers());
    await outbox.makeHeldDue(1_000);
    const due = await outbox.takeDue(1_000, EVER_MS, 60_000, 1_000);
    for (const { id, attempt, claim, state } of due) {
      if (!isConfirmed) continue;
      if (state !== 'dead') this.queue.push({ id, attempt: attempt + 1 });
      this.confirmed.push({ id, claim });
    }
  }

  /** What must hold at every moment. */
  async check() {
    const rows = await this.rows();
    for (const { id, state, claim, finished_at } of rows) {
      const before = this.ended.get(id);
      if (before) expect({ id, state }).toEqual({ id, state: before });
      const isFinal = isEnded(state);
      if (isFinal) this.ended.set(id, state);
      expect(finished_at !== null).toBe(isFinal);
      // One runner at most holds the claim that the record shows; anyone who holds an older one can write nothing.
      const holders = this.workers.flatMap(({ runs }) =>
        runs.filter((run) => run.id === id && run.claim === claim),
      );
      expect(holders.length).toBeLessThanOrEqual(1);
    }
    await Promise.all(this.workers.map(({ lock }) => lock.id()));
    const contracts = { 'a.b': this.known };
    await environment.sql(`update workers set queues = '{a}', contracts = $1`, [contracts]);
    for (const job of await this.views.list({ limit: 1_000 })) {
      const { what, detail } = job.waitingFor ?? {};
      expect({ ...job, reason: what === 'worker' ? detail : what }).toMatchObject({
        reason: this.reasonOf(job),
      });
    }
  }

  /** P21: why a job does not run, by what was done to it. */
  private reasonOf({ id, state, runAt }: JobView) {
    if (state === 'running' || isEnded(state)) return undefined;
    const isLater = state !== 'queued' && runAt.getTime() > Date.now();
    if (!isLater && this.isPaused) return 'pause';
    const needed = this.versions.get(id) ?? 0;
    if (!isLater)
      return needed > this.known ? `a worker that knows a.b version ${needed}` : 'a free worker of queue "a"';
    return this.limited.has(id) ? 'limit' : state === 'retrying' ? 'retry' : 'time';
  }

  /** The faults are over: everything accepted must come to its end. */
  async recover() {
    this.deploy(NEWEST);
    for (let round = 0; round < 12; round++) {
      for (const who of this.workers.keys()) {
        while (this.any(who).runs.length > 0) await this.finish(who, 0, success, true, true);
        while (this.confirmed.length > 0) await this.mark(0);
        for (let left = this.queue.length; left > 0; left--) await this.deliver(0, who, true);
      }
      if (round === 0) await this.rebuild();
      await this.jump();
      await this.relay(true);
      await this.check();
    }
    const open = (await this.rows()).filter(({ state }) => !isEnded(state));
    expect(open).toEqual([]);
    expect(await this.rows()).toHaveLength(this.jobs.length);
  }

  async close() {
    await Promise.all(this.workers.map(({ lock }) => lock.onApplicationShutdown()));
  }

  /** P3: once for each attempt, and once more for each time that it was lost with its worker or released. */
  private started(id: string, attempt: number, crashes: number) {
    const key = `${id}/${this.replays.get(id) ?? 0}/${attempt}/${crashes}/${this.released(id)}`;
    this.starts.set(key, (this.starts.get(key) ?? 0) + 1);
    expect(this.starts.get(key)).toBe(1);
  }

  private readonly backs = new Map<string, number>();
  noteReleased(id: string) {
    this.backs.set(id, this.released(id) + 1);
  }
  private released(id: string): number {
    return this.backs.get(id) ?? 0;
  }

  runOf(who: number, which: number): Run | undefined {
    const { runs } = this.runner(who);
    return runs[which % Math.max(1, runs.length)];
  }

  private rows() {
    return environment.sql<{ id: string; state: JobState; claim: number; finished_at: Date | null }>(
      'select id, state, claim, finished_at from jobs order by id',
    );
  }

  /** Who has a handler that may end. */
  private runner(who: number): Worker {
    const all = [...this.workers, this.sleepwalkers];
    return all[who % all.length]!;
  }

  private any(who: number): Worker {
    return this.workers[who % this.workers.length]!;
  }

  private pick<T>(from: T[], which: number): T | undefined {
    return from.splice(which % Math.max(1, from.length), 1)[0];
  }
}

const isEnded = (state: JobState) => ['succeeded', 'dead', 'cancelled', 'discarded'].includes(state);
const success: Outcome = { kind: 'succeeded', result: 'null' };

const number = fc.nat({ max: 20 });
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.constant(success),
  fc.constant<Outcome>({ kind: 'failed', error: new Error('no') }),
  fc.constant<Outcome>({ kind: 'snoozed', delay: '1h' }),
  fc.constant<Outcome>({ kind: 'released' }),
  fc.constant<Outcome>({ kind: 'crashed', error: new Error('nobody caught it') }),
);
const step: fc.Arbitrary<(world: World) => unknown> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.boolean(), fc.integer({ min: 1, max: NEWEST })).map(
      ([confirmed, version]) =>
        (world: World) =>
          world.enqueue(confirmed, version),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: NEWEST }).map((version) => (world: World) => world.deploy(version)),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(number, number, fc.boolean()).map(
      ([which, to, exclusive]) =>
        (world: World) =>
          world.deliver(which, to, exclusive),
    ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(number, number, outcome, fc.boolean(), fc.boolean())
      .map(([who, which, outcome, confirmed, acked]) => (world: World) => {
        const run = world.runOf(who, which);
        if (run && (outcome.kind === 'released' || outcome.kind === 'snoozed')) world.noteReleased(run.id);
        return world.finish(who, which, outcome, confirmed, acked);
      }),
  },
  { weight: 2, arbitrary: number.map((which) => (world: World) => world.duplicate(which)) },
  { weight: 3, arbitrary: number.map((which) => (world: World) => world.mark(which)) },
  { weight: 2, arbitrary: number.map((who) => (world: World) => world.sleepwalk(who)) },
  { weight: 2, arbitrary: number.map((which) => (world: World) => world.lose(which)) },
  { weight: 1, arbitrary: fc.constant((world: World) => world.rebuild()) },
  { weight: 2, arbitrary: number.map((who) => (world: World) => world.crash(who)) },
  { weight: 2, arbitrary: number.map((who) => (world: World) => world.cut(who)) },
  { weight: 1, arbitrary: number.map((which) => (world: World) => world.cancel(which)) },
  { weight: 1, arbitrary: number.map((which) => (world: World) => world.replay(which)) },
  { weight: 2, arbitrary: fc.constant((world: World) => world.jump()) },
  {
    weight: 2,
    arbitrary: fc.tuple(number, number).map(
      ([which, to]) =>
        (world: World) =>
          world.putOff(which, to),
    ),
  },
  { weight: 1, arbitrary: fc.boolean().map((isPaused) => (world: World) => world.pause(isPaused)) },
  { weight: 2, arbitrary: fc.boolean().map((confirmed) => (world: World) => world.relay(confirmed)) },
);

test('P1, P3, P5, P10, P12, P16, P21: whatever happens in whatever order, every job comes to one end, and no attempt runs twice at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), async (steps) => {
      await environment.sql('delete from jobs');
      await environment.sql('delete from paused_queues');
      const world = new World();
      try {
        for (const take of steps) {
          await take(world);
          await world.check();
        }
        await world.recover();
      } finally {
        await world.close();
      }
    }),
    // Shrinking would run for minutes; the seed repeats the run, and the steps are told.
    { numRuns: 50, endOnFailure: true },
  );
}, 300_000);
