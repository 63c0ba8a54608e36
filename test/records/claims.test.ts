import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Test } from '@nestjs/testing';
import { v7 as uuidv7 } from 'uuid';
import { Presence, Records, RecordsModule, Views } from '#records';
import { type Environment, givenEnvironment } from '../support/environment.js';

let environment: Environment;
const apps: { close(): Promise<unknown> }[] = [];

/** A worker's view of the records, with its own presence. */
async function givenRecords() {
  const app = await Test.createTestingModule({
    imports: [RecordsModule.forRoot({ url: environment.databaseUrl, poolSize: 3 })],
  }).compile();
  apps.push(app);
  return { records: app.get(Records), views: app.get(Views), presence: app.get(Presence), app };
}
type Worker = Awaited<ReturnType<typeof givenRecords>>;

let one: Worker;
let two: Worker;
let id: string;
const claim = ({ records }: Worker, attempt: number) => records.claim({ id, attempt, wantsPayload: false });

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

test('a payload is kept as it was sent, even with NUL in it', async () => {
  const taken = await one.records.claim({ id, attempt: 1, wantsPayload: true });
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
    expect(first).toMatchObject({ taken: true, attempt: 1, claim: 1 });
    expect(
      await one.records.settle({
        id,
        claim: 1,
        state: 'retrying',
        error: '{"message":"no","class":"E","stack":null}',
        runInMs: 1,
        publishInMs: 60_000,
      }),
    ).toBe(true);
    expect(await claim(two, 1)).toEqual({ taken: false, state: 'retrying', ...nothing });
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
    await third.presence.onApplicationShutdown();
    expect(await claim(one, 1)).toMatchObject({ taken: true, attempt: 1, claim: 2, losses: 1 });
    const job = await one.views.find(id);
    expect(job!.attempts).toMatchObject([
      { attempt: 1, outcome: 'lost', worker: third.presence.name },
      { attempt: 1, outcome: 'running' },
    ]);
  });
  test('of a job that nobody knows tells so, or makes its record', async () => {
    id = uuidv7();
    expect(await claim(one, 1)).toMatchObject({ taken: false, state: null });
    const record = { id, name: 'a.b', queue: 'a', payload: '1', maxAttempts: 1 };
    const claims = await Promise.all([
      one.records.claim({ id, attempt: 1, wantsPayload: false, record }),
      two.records.claim({ id, attempt: 1, wantsPayload: false, record }),
    ]);
    expect(claims.filter(({ taken }) => taken)).toHaveLength(1);
  });
});

describe('a settlement', () => {
  test('of a claim that was lost to another writes nothing', async () => {
    const third = await givenRecords();
    await claim(third, 1);
    await third.presence.onApplicationShutdown();
    await claim(one, 1);
    expect(await third.records.settle({ id, claim: 1, state: 'succeeded', result: '"stale"' })).toBe(false);
    expect(await one.views.find(id)).toMatchObject({ state: 'running', result: null });
    expect(await one.records.settle({ id, claim: 2, state: 'succeeded', result: '"fresh"' })).toBe(true);
    expect(await one.views.find(id)).toMatchObject({ state: 'succeeded', result: 'fresh', progress: 1 });
    expect(await one.records.settle({ id, claim: 2, state: 'dead' })).toBe(false);
  });
  test('that gives the job back uses up no attempt', async () => {
    await claim(one, 1);
    await one.records.settle({ id, claim: 1, state: 'queued', givenBack: true });
    expect(await one.views.find(id)).toMatchObject({ state: 'queued', attempt: 0, attempts: [] });
    expect(await claim(two, 1)).toMatchObject({ taken: true, attempt: 1 });
  });
});

describe('the outbox', () => {
  const due = async ({ records }: Worker) =>
    (await records.takeDue(1_000, 60_000, 1_000)).filter((record) => record.id === id);
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
    await one.records.markPublished([{ id, claim: 0 }]);
    await environment.sql(`update jobs set publish_at = publish_at - interval '1 hour' where id = $1`, [id]);
    expect(await due(one)).toEqual([]);

    await claim(one, 1);
    await one.records.settle({
      id,
      claim: 1,
      state: 'scheduled',
      givenBack: true,
      runInMs: 0,
      publishInMs: 0,
    });
    // The confirm of the first message comes in late: the snoozed job must still be published.
    await one.records.markPublished([{ id, claim: 0 }]);
    expect(await due(one)).toEqual([expect.objectContaining({ id, state: 'queued', attempt: 0 })]);
  });
  test('brings back what a worker that is gone was running', async () => {
    const third = await givenRecords();
    await claim(third, 1);
    expect(await one.records.goneWorkers()).toEqual([]);
    const worker = await third.presence.id();
    await third.presence.onApplicationShutdown();
    expect(await one.records.goneWorkers()).toEqual([worker]);
    expect(await one.records.rescue([worker])).toBe(1);
    expect(await due(one)).toEqual([expect.objectContaining({ id, state: 'running', attempt: 1 })]);
  });
  test('has nothing for a job that was cancelled', async () => {
    await makeDue();
    expect(await one.records.cancel(id)).toBe(true);
    expect(await due(one)).toEqual([]);
    expect(await one.records.cancel(id)).toBe(false);
  });
});

const nothing = {
  claim: null,
  attempt: null,
  maxAttempts: null,
  losses: null,
  createdAt: null,
  payload: null,
};
