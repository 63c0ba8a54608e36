import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { v7 as uuidv7 } from 'uuid';
import { loadSettings, SettingsModule } from '#config';
import {
  Database,
  type JobKey,
  JobQueries,
  JobStore,
  OutboxStore,
  RecordsModule,
  WorkerLock,
} from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment } from '#testing/services';

/** The outbox is looked at as far back as it goes. */
const EVER_MS = 1e12;
let environment: Environment;
const apps: { close(): Promise<unknown> }[] = [];

/** A worker's view of the records, with its own lock. */
async function givenRecords() {
  const app = await Test.createTestingModule({
    imports: [
      SettingsModule.forRoot(() =>
        loadSettings({ DATABASE_URL: environment.databaseUrl, DATABASE_POOL: '3' }),
      ),
      RecordsModule,
    ],
  }).compile();
  apps.push(app);
  return {
    records: app.get(JobStore),
    outbox: app.get(OutboxStore),
    views: app.get(JobQueries),
    lock: app.get(WorkerLock),
    app,
  };
}
type Worker = Awaited<ReturnType<typeof givenRecords>>;

let one: Worker;
let two: Worker;
let id: string;
const claim = ({ records }: Worker, attempt: number, exclusive = false) =>
  records.claim({ id, name: 'a.b', attempt, wantsPayload: false, exclusive });

beforeAll(async () => {
  environment = await givenEnvironment([]);
  one = await givenRecords();
  two = await givenRecords();
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await environment?.close();
});
beforeEach(async () => {
  id = uuidv7();
  await one.records.insert({ id, name: 'a.b', queue: 'a', payload: '{"x":"\\u0000"}', maxAttempts: 3 });
});

test('jobs that are recorded at once keep what only some of them have', async () => {
  const runAt = new Date(Date.now() + 60_000);
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
  const common = { name: 'a.b', queue: 'a', payload: '{}', maxAttempts: 1 };
  const inserted = await one.records.insertMany([
    { ...common, id: uuidv7() },
    { ...common, id: uuidv7(), delayMs: 60_000, priority: 'high' },
    { ...common, id: uuidv7(), runAt, traceparent },
    { ...common, id: uuidv7(), runAt: new Date(0), next: { ...common, id: uuidv7() } },
    { ...common, id: uuidv7(), tags: ['a', '"{}'], options: { timeout: '1s' }, rerunOf: id },
  ]);
  const views = await Promise.all(inserted.map(({ id }) => one.views.find(id)));
  expect(views).toMatchObject([
    { state: 'queued', priority: 'normal', next: null, traceId: null },
    { state: 'scheduled', priority: 'high', next: null, traceId: null },
    { state: 'scheduled', priority: 'normal', runAt, traceId: 'ab'.repeat(16) },
    { state: 'queued', priority: 'normal', next: expect.any(String), traceId: null, tags: [], rerunOf: null },
    { tags: ['a', '"{}'], rerunOf: id },
  ]);
  const last = inserted.at(-1)?.id ?? '';
  const claim = await one.records.claim({ id: last, name: 'a.b', attempt: 1, wantsPayload: false });
  expect(claim).toMatchObject({ tags: ['a', '"{}'], options: { timeout: '1s' } });
  // What the producer was told is what the record says.
  expect(views.map((view) => view && [view.id, view.state, view.createdAt, view.runAt])).toEqual(
    inserted.map(({ id, state, createdAt, runAt }) => [id, state, createdAt, runAt]),
  );
});

test('whatever characters a payload, a result or a name is made of come back as they were', async () => {
  const odd = '{"a": "\\" \\\\ \\n {},NULL \\u0007 é 😀 \\ud800",\n\t"b": [1, "NULL", "\u007f"]}';
  const id = uuidv7();
  const name = 'odd "name\\{},NULL\t';
  const { records } = one;
  await records.insert({ id, name, queue: 'a', payload: odd, maxAttempts: 1 });
  const claim = await records.claim({ id, name, attempt: 1, wantsPayload: true });
  if (!claim.taken) throw new Error('not taken');
  expect(claim.payload).toBe(odd);
  await records.settle({ id, claim: claim.claim, state: 'succeeded', result: odd });
  const [row] = await environment.sql<{ name: string; result: string }>(
    `select name, result::text from jobs where id = '${id}'`,
  );
  expect(row).toEqual({ name, result: odd });
});

test('a payload is kept as it was sent, even with NUL in it', async () => {
  const taken = await one.records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: true });
  expect(taken).toMatchObject({ taken: true, payload: '{"x":"\\u0000"}' });
});

describe('a claim', () => {
  test('takes a waiting job once, however often it is delivered, and wherever', async () => {
    const claims = await Promise.all([one, two, one, two].map((worker) => claim(worker, 1)));
    // A worker that asks again for what it runs gets it again: its first answer may have been lost.
    const takers = new Set(claims.flatMap((claim, index) => (claim.taken ? [index % 2] : [])));
    expect(takers.size).toBe(1);
  });
  test('of a newer attempt takes a retrying job; of the same or an older attempt it does not', async () => {
    const first = await claim(one, 1);
    expect(first).toMatchObject({ taken: true, attempt: 1, claim: 1, rescued: false });
    expect(
      await one.records.settle({
        id,
        claim: 1,
        state: 'retrying',
        error: '{"message":"no","class":"E","stack":null}',
        runInMs: 1,
        publishInMs: 60_000,
      }),
    ).toBe('retrying');
    expect(await claim(two, 1)).toMatchObject({
      taken: false,
      state: 'retrying',
      mustRunExclusively: false,
      isAnotherJob: false,
    });
    expect(await claim(two, 2)).toMatchObject({ taken: true, attempt: 2, claim: 2 });
    expect(await claim(one, 1)).toMatchObject({ taken: false, state: 'running' });
  });
  test('takes no job that has ended, was cancelled or has its time still to come', async () => {
    for (const state of ['succeeded', 'dead', 'cancelled', 'discarded', 'scheduled']) {
      await environment.sql('update jobs set state = $2 where id = $1', [id, state]);
      expect(await claim(one, 5)).toMatchObject({ taken: false, state });
    }
  });
  test('P4: takes over from a worker that is gone, and the record shows the attempt as lost', async () => {
    const third = await givenRecords();
    expect(await claim(third, 1)).toMatchObject({ taken: true });
    expect(await claim(one, 1)).toMatchObject({ taken: false, state: 'running' });
    await third.lock.onApplicationShutdown();
    expect(await claim(one, 1)).toMatchObject({
      taken: true,
      attempt: 1,
      claim: 2,
      crashes: 1,
      rescued: true,
    });
    const job = await one.views.find(id);
    expect(job!.attempts).toMatchObject([
      { attempt: 1, outcome: 'crashed', worker: third.lock.name },
      { attempt: 1, outcome: 'running' },
    ]);
  });

  test('a crash is a start: a job that crashed in time is not late later, by a rescue or a takeover', async () => {
    const options = { startWithin: 3_600_000 };
    const jobs = [uuidv7(), uuidv7()];
    const common = { name: 'a.b', queue: 'a', payload: '{}', maxAttempts: 1, options };
    await one.records.insertMany(jobs.map((id) => ({ ...common, id })));
    const three = await givenRecords();
    const taken = (worker: Worker, id: string, attempt: number) =>
      worker.records.claim({ id, name: 'a.b', attempt, wantsPayload: false });
    for (const id of jobs)
      expect(await taken(three, id, 1)).toMatchObject({
        isLate: null,
        options: { startBy: expect.any(Number) },
      });
    const gone = await three.lock.id();
    await three.lock.onApplicationShutdown();
    expect(
      await eventually(async () => {
        const claim = await taken(two, jobs[0]!, 1);
        return claim.taken && claim;
      }),
    ).toMatchObject({ crashes: 1, options });
    await two.outbox.rescue([gone]);
    const rows = await environment.sql(`select options from jobs where id = any ($1)`, [jobs]);
    expect(rows).toEqual([{ options }, { options }]);
  });

  test('P3: a release that comes after the job was rescued writes nothing, and says so', async () => {
    const lost = await givenRecords();
    expect(await claim(lost, 1)).toMatchObject({ taken: true, claim: 1 });
    const worker = await lost.lock.id();
    await lost.lock.onApplicationShutdown();
    await eventually(async () => (await one.outbox.rescue([worker])) === 1);
    expect(await one.records.settle({ id, claim: 1, state: 'queued', released: true })).toBeNull();
  });
  test('P7: leaves a job that was lost twice to a worker that runs nothing else', async () => {
    for (const crashes of [1, 2]) {
      const lost = await givenRecords();
      expect(await claim(lost, 1)).toMatchObject({ taken: true, crashes: crashes - 1 });
      await lost.lock.onApplicationShutdown();
    }
    expect(await claim(one, 1)).toMatchObject({ taken: false, state: 'running', mustRunExclusively: true });
    expect(await claim(one, 1, true)).toMatchObject({ taken: true, crashes: 2, claim: 3 });
    expect(await claim(two, 1, true)).toMatchObject({
      taken: false,
      state: 'running',
      mustRunExclusively: false,
    });
  });
  test('P4: of a lost job that is rescued at the same moment takes it, beside what runs already', async () => {
    const lost = await givenRecords();
    await claim(lost, 1);
    await lost.lock.onApplicationShutdown();
    let claiming: ReturnType<typeof claim> | undefined;
    await one.app.get(Database).transaction(async (rescue) => {
      // As the relay does it, for all jobs of a worker in one statement.
      await rescue.query({
        text: `update jobs set state = 'queued', attempt = 0, crashes = crashes + 1, publish_at = now() where id = $1`,
        values: [id],
      });
      claiming = claim(two, 1);
      await eventually(async () => {
        const waiting = await environment.sql(
          `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        );
        return waiting.length > 0;
      });
    });
    expect(await claiming).toMatchObject({ taken: true, claim: 2, crashes: 1 });
  });
  test('P7: of a job that was lost once, and that somebody else takes first, does not ask to run exclusively', async () => {
    const lost = await givenRecords();
    await claim(lost, 1);
    await lost.lock.onApplicationShutdown();
    const claims = await Promise.all([claim(one, 1), claim(two, 1)]);
    expect(claims.filter(({ taken }) => taken)).toHaveLength(1);
    expect(claims.find(({ taken }) => !taken)).toMatchObject({ state: 'running', mustRunExclusively: false });
  });
  test('P3: of a newer attempt than the one that runs here takes nothing', async () => {
    await claim(one, 1);
    expect(await claim(one, 2)).toMatchObject({ taken: false, state: 'running', mustRunExclusively: false });
  });
  test('P6: of a message that names another contract than the record takes nothing', async () => {
    const forged = await one.records.claim({ id, name: 'c.d', attempt: 1, wantsPayload: false });
    expect(forged).toMatchObject({ taken: false, state: 'queued', isAnotherJob: true });
    expect(await claim(one, 1)).toMatchObject({ taken: true });
  });
  test('P6: a message that names another contract puts nothing off', async () => {
    const putOff = (name: string) =>
      one.records.postpone({ id, name, attempt: 1, delayMs: 60_000, limitedBy: 'a limit' });
    await putOff('c.d');
    expect(await one.views.find(id)).toMatchObject({ state: 'queued' });
    await putOff('a.b');
    expect(await one.views.find(id)).toMatchObject({ state: 'scheduled' });
  });
  test('of a job that nobody knows tells so, or makes its record', async () => {
    id = uuidv7();
    expect(await claim(one, 1)).toMatchObject({ taken: false, state: null });
    const record = { id, name: 'a.b', queue: 'a', payload: '1', maxAttempts: 1 };
    const claims = await Promise.all([
      one.records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: false, record }),
      two.records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: false, record }),
    ]);
    expect(claims.filter(({ taken }) => taken)).toHaveLength(1);
  });
});

describe('a settlement', () => {
  test('of a claim that was lost to another writes nothing', async () => {
    const third = await givenRecords();
    await claim(third, 1);
    await third.lock.onApplicationShutdown();
    await claim(one, 1);
    expect(await third.records.settle({ id, claim: 1, state: 'succeeded', result: '"stale"' })).toBeNull();
    expect(await one.views.find(id)).toMatchObject({ state: 'running', result: null });
    expect(await one.records.settle({ id, claim: 2, state: 'succeeded', result: '"fresh"' })).toBe(
      'succeeded',
    );
    expect(await one.views.find(id)).toMatchObject({ state: 'succeeded', result: 'fresh', progress: 1 });
    expect(await one.records.settle({ id, claim: 2, state: 'dead' })).toBeNull();
  });
  test('whose answer was lost on the way tells the same when it is asked for again', async () => {
    await claim(one, 1);
    const settle = () => one.records.settle({ id, claim: 1, state: 'succeeded', result: '1' });
    expect(await settle()).toBe('succeeded');
    const first = await one.views.find(id);
    expect(await settle()).toBe('succeeded');
    expect(await one.views.find(id)).toEqual(first);
  });
  test('that failed tells the same when it is asked for again', async () => {
    for (const [attempt, state] of (['retrying', 'dead'] as const).entries()) {
      await claim(one, attempt + 1);
      const settle = () => one.records.settle({ id, claim: attempt + 1, state, error: '{"message":"x"}' });
      expect([await settle(), await settle()]).toEqual([state, state]);
    }
    expect((await one.views.find(id))?.attempts).toHaveLength(2);
  });
  test('of many jobs at once tells of each what became of it', async () => {
    const ids = Array.from({ length: 5 }, () => uuidv7());
    const [succeeding, cancelled, failing, lost, plain] = ids as [string, string, string, string, string];
    await one.records.insertMany(
      ids.map((id) => ({ id, name: 'a.b', queue: 'a', payload: '{}', maxAttempts: 2 })),
    );
    for (const id of ids) await one.records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: false });
    await one.records.cancel([cancelled]);
    const end = { claim: 1, state: 'succeeded', result: '1' } as const;
    const states = await Promise.all([
      one.records.settle({ ...end, id: succeeding }),
      one.records.settle({ ...end, id: succeeding }),
      one.records.settle({ ...end, id: cancelled }),
      one.records.settle({ id: failing, claim: 1, state: 'retrying', error: '{}', runInMs: 0 }),
      one.records.settle({ ...end, id: lost, claim: 2 }),
      one.records.settle({ ...end, id: plain }),
    ]);
    expect(states).toEqual(['succeeded', 'succeeded', 'cancelled', 'retrying', null, 'succeeded']);
    for (const [index, id] of ids.entries())
      expect((await one.views.find(id))?.state).toBe(states[index + 1] ?? 'running');
  });
  test('that gives the job back uses up no attempt', async () => {
    await claim(one, 1);
    await one.records.settle({ id, claim: 1, state: 'queued', released: true });
    expect(await one.views.find(id)).toMatchObject({ state: 'queued', attempt: 0, attempts: [] });
    expect(await claim(two, 1)).toMatchObject({ taken: true, attempt: 1 });
  });
  test('P7: that gives the job back with what ended its worker uses up no attempt, and counts as a crash', async () => {
    const error = { message: 'x', class: 'Error', stack: null };
    await claim(one, 1);
    await one.records.settle({
      ...{ id, claim: 1, state: 'queued', released: true },
      error: JSON.stringify(error),
    });
    expect(await one.views.find(id)).toMatchObject({
      ...{ state: 'queued', attempt: 0 },
      attempts: [{ attempt: 1, outcome: 'crashed', error }],
    });
    expect(await claim(two, 1)).toMatchObject({ taken: true, attempt: 1, crashes: 1, rescued: true });
  });
});

describe('a cancellation', () => {
  test('P10: of a running job is seen by its worker only, and however the job ends, it ends as cancelled', async () => {
    await claim(one, 1);
    expect(await two.records.cancel([id])).toEqual([{ id, state: 'running' }]);
    expect(await two.records.cancelling()).toEqual([]);
    expect(await one.records.cancelling()).toEqual([{ id, claim: 1 }]);
    expect(await one.records.settle({ id, claim: 1, state: 'succeeded', result: '1' })).toBe('cancelled');
    expect(await one.records.cancelling()).toEqual([]);
    expect(await one.views.find(id)).toMatchObject({
      state: 'cancelled',
      result: null,
      finishedAt: expect.any(Date),
      attempts: [{ attempt: 1, outcome: 'cancelled', error: { class: 'CancelledError' } }],
    });
  });
  test('P10: of a running job whose worker is gone ends it when its message comes back', async () => {
    const third = await givenRecords();
    await claim(third, 1);
    await one.records.cancel([id]);
    await third.lock.onApplicationShutdown();
    expect(await claim(one, 1)).toMatchObject({ taken: false, state: 'cancelled' });
    expect(await one.views.find(id)).toMatchObject({ state: 'cancelled', finishedAt: expect.any(Date) });
  });
});

describe('a key', () => {
  const record = (key: Partial<JobKey> = {}) => ({
    ...{ id: uuidv7(), name: 'a.b', queue: 'a', payload: '1', maxAttempts: 3 },
    key: { scope: 's', key: id, heldMs: 60_000, untilEnded: false, ...key },
  });

  test('P13: is held by one of a hundred records that want it at the same time', async () => {
    const records = Array.from({ length: 100 }, () => record({ fingerprint: 'f' }));
    const outcomes = await Promise.all(
      records.map((record, index) => (index % 2 ? one : two).records.insertKeyed(record)),
    );
    const inserted = outcomes.flatMap(({ inserted }) => inserted ?? []);
    expect(inserted).toHaveLength(1);
    for (const { heldBy } of outcomes.filter(({ heldBy }) => heldBy))
      expect(heldBy).toEqual(expect.objectContaining({ job: inserted[0]!.id, fingerprint: 'f' }));
    const [{ count } = {}] = await environment.sql('select count(*)::int from jobs where id = any($1)', [
      records.map(({ id }) => id),
    ]);
    expect(count).toBe(1);
  });
  test('is free again after its time, and of another scope all along', async () => {
    const first = record();
    await one.records.insertKeyed(first);
    expect(await one.records.insertKeyed(record())).toMatchObject({ heldBy: { job: first.id } });
    expect(await one.records.insertKeyed(record({ scope: 't' }))).toMatchObject({ inserted: {} });
    await environment.sql(`update job_keys set expires_at = now() where job = $1`, [first.id]);
    expect(await one.records.insertKeyed(record())).toMatchObject({ inserted: {} });
  });
  test('of a unique job is free once the job has ended', async () => {
    const unique = { heldMs: 0, untilEnded: true };
    const first = record(unique);
    await one.records.insertKeyed(first);
    const taken = await one.records.claim({ id: first.id, name: 'a.b', attempt: 1, wantsPayload: false });
    expect(await two.records.insertKeyed(record(unique))).toMatchObject({ heldBy: { job: first.id } });
    await one.records.settle({ id: first.id, claim: (taken as { claim: number }).claim, state: 'succeeded' });
    expect(await two.records.insertKeyed(record(unique))).toMatchObject({ inserted: {} });
  });
});

describe('the outbox', () => {
  const due = async ({ outbox }: Worker) =>
    (await outbox.takeDue(1_000, EVER_MS, 60_000, 1_000)).filter((record) => record.id === id);
  const makeDue = () => environment.sql('update jobs set publish_at = now() where id = $1', [id]);

  test('hands a job to one relay, and again after its lease', async () => {
    await makeDue();
    const taken = (await Promise.all([due(one), due(two)])).flat();
    expect(taken).toEqual([expect.objectContaining({ id, attempt: 0, claim: 0, state: 'queued' })]);
    expect(await due(one)).toEqual([]);
    await makeDue();
    expect(await due(two)).toHaveLength(1);
  });
  test('forgets a job that was published, unless it moved on since', async () => {
    await one.outbox.markPublished([{ id, claim: 0 }]);
    await environment.sql(`update jobs set publish_at = publish_at - interval '1 hour' where id = $1`, [id]);
    expect(await due(one)).toEqual([]);

    await claim(one, 1);
    await one.records.settle({
      id,
      claim: 1,
      state: 'scheduled',
      released: true,
      runInMs: 0,
      publishInMs: 0,
    });
    // The confirm of the first message comes in late: the snoozed job must still be published.
    await one.outbox.markPublished([{ id, claim: 0 }]);
    expect(await due(one)).toEqual([expect.objectContaining({ id, state: 'queued', attempt: 0 })]);
  });
  test('brings back what a worker that is gone was running', async () => {
    const third = await givenRecords();
    await claim(third, 1);
    expect(await one.outbox.missingWorkers()).not.toContain(await third.lock.id());
    const worker = await third.lock.id();
    await third.lock.onApplicationShutdown();
    expect(await one.outbox.missingWorkers()).toContain(worker);
    expect(await one.outbox.rescue([worker])).toBe(1);
    expect(await due(one)).toEqual([expect.objectContaining({ id, state: 'queued', attempt: 0 })]);
    expect(await claim(one, 1)).toMatchObject({ taken: true, attempt: 1, crashes: 1, rescued: true });
  });
  test.each([
    ['queued', true],
    ['retrying', true],
    ['scheduled', false],
    ['succeeded', false],
    ['dead', false],
  ])('P1: a rebuild, for a job that is %s: due again is %p', async (state, isDue) => {
    await environment.sql('update jobs set state = $2, publish_at = null where id = $1', [id, state]);
    await one.outbox.republishAll();
    expect((await due(one)).map((record) => record.state)).toEqual(isDue ? [state] : []);
  });
  test('has nothing for a job that was cancelled', async () => {
    await makeDue();
    expect(await one.records.cancel([id])).toEqual([{ id, state: 'cancelled' }]);
    expect(await due(one)).toEqual([]);
    expect(await one.records.cancel([id])).toEqual([]);
  });
});

test('P1: a worker whose lock was lost, and cannot be had for now, has its jobs wait rather than fail', async () => {
  const worker = await givenRecords();
  const lockId = await worker.lock.id();
  const sessionsOfLock = (isGranted: boolean) =>
    environment.sql<{ pid: number }>(
      `select pid from pg_locks where locktype = 'advisory' and classid = x'77617272'::int and objid = $1 and granted = $2
         and database = (select oid from pg_database where datname = current_database())`,
      [lockId, isGranted],
    );
  const other = await worker.app.get(Database).connect();
  const [held] = await sessionsOfLock(true);
  // The next in line gets the lock, so that the worker waits for it.
  const taken = other.query("select pg_advisory_lock(x'77617272'::int, $1)", [lockId]);
  await eventually(async () => (await sessionsOfLock(false)).length === 1);
  await environment.sql('select pg_terminate_backend($1)', [held!.pid]);
  await taken;
  const [waiting] = await eventually(async () => {
    const sessions = await sessionsOfLock(false);
    return sessions.length === 1 ? sessions : undefined;
  });
  const asked = expect(worker.lock.id()).rejects.toMatchObject({ name: 'DatabaseUnavailableError' });
  await environment.sql('select pg_terminate_backend($1)', [waiting!.pid]);
  await asked;
  await other.end();
  await eventually(() => worker.lock.isHeld);
});
