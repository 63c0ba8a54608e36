import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, job } from '#jobs';
import { Audit, Database, DeadJobStore, JobQueries, type JobState, Retention } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, type Producer } from '#testing/services';

const Sync = defineJob({ name: 'sync.account', queue: 'sync', payload: z.object({ n: z.number() }) });
let environment: Environment;
let producer: Producer;
let other: Producer;
let dead: DeadJobStore;

beforeAll(async () => {
  environment = await givenEnvironment([Sync]);
  producer = await givenProducer(environment, { contracts: [Sync], withBroker: false });
  other = await givenProducer(environment, { contracts: [Sync], withBroker: false });
  dead = producer.app.get(DeadJobStore);
});
afterAll(async () => {
  await producer?.close();
  await other?.close();
  await environment?.close();
});
beforeEach(() => environment.sql('delete from jobs'));

const enqueue = async (key: string, lasts: '0s' | '1h' = '0s', at = producer) =>
  (await at.jobs.enqueue(Sync, { n: 1 }, { unique: { key, for: lasts } })).id;
const end = (id: string, state: JobState = 'dead') =>
  environment.sql('update jobs set state = $2, finished_at = now() where id = $1', [id, state]);
const givenDead = async (key: string, lasts?: '1h') => {
  const id = await enqueue(key, lasts);
  await end(id);
  return id;
};
const stateOf = async (id: string) => (await producer.app.get(JobQueries).find(id))?.state;
const open = () =>
  environment.sql<{ id: string }>(`select id from jobs where state in ('queued', 'scheduled') order by id`);

describe('a replay asks of a unique key what enqueueing asks', () => {
  test('a job stays dead while another one of its key waits or runs, and comes back when that has ended', async () => {
    const first = await givenDead('a');
    const second = await enqueue('a');
    expect(await dead.replayAll({ ids: [first] })).toEqual({ count: 0, leftOut: 1 });
    expect(await dead.keyHolder(first)).toBe(second);
    expect(await stateOf(first)).toBe('dead');
    await end(second, 'succeeded');
    expect(await dead.replayAll({ ids: [first] })).toEqual({ count: 1, leftOut: 0 });
    // And now it holds the key as any other.
    expect(await enqueue('a')).toBe(first);
    await end(first, 'succeeded');
    expect(await enqueue('a')).not.toBe(first);
  });

  test('the time of another one counts too, and its own does not', async () => {
    const first = await givenDead('a');
    const second = await givenDead('a', '1h');
    expect(await dead.replay({ ids: [first] })).toBe(0);
    // In whatever order they are found: the one that holds the key comes back.
    expect(await dead.replayAll({})).toEqual({ count: 1, leftOut: 1 });
    expect(await stateOf(second)).toBe('queued');
  });

  test('of dead jobs of one key a bulk replay brings back the first, and those without a key all', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(await givenDead('a'));
    const { id } = await producer.jobs.enqueue(Sync, { n: 2 });
    await end(id);
    await givenDead('b');
    expect(await dead.replayAll({ name: 'sync.account' })).toEqual({ count: 3, leftOut: 2 });
    expect(await dead.replayAll({ name: 'sync.account' })).toEqual({ count: 0, leftOut: 2 });
    expect(await dead.discard({})).toBe(2);
  });

  test('a key that was taken before the record kept it is asked for as well', async () => {
    const first = await givenDead('a');
    await environment.sql('update jobs set unique_key = null');
    expect(await dead.replay({ ids: [first] })).toBe(1);
    expect(await enqueue('a')).toBe(first);
  });

  test.each(['replays of two dead jobs', 'a replay and an enqueueing', 'an enqueueing and a replay'])(
    'under concurrency: %s bring one job to life',
    async (what) => {
      for (let round = 0; round < 20; round++) {
        await environment.sql('delete from jobs');
        const ids = [await givenDead('a'), await givenDead('a')];
        const replays = ids.map(
          (id, at) => () => (at ? other : producer).app.get(DeadJobStore).replay({ ids: [id] }),
        );
        const enqueueing = () => enqueue('a', '0s', other);
        const [first, second] = what.startsWith('replays')
          ? [replays[0]!, replays[1]!]
          : what.startsWith('a replay')
            ? [replays[0]!, enqueueing]
            : [enqueueing, replays[0]!];
        await Promise.all([first(), second()]);
        expect(await open()).toHaveLength(1);
      }
    },
  );

  test('an enqueueing that waited for the end of a replay sees what that did', async () => {
    const first = await givenDead('a');
    let second = Promise.resolve('');
    await producer.app.get(Database).records.transaction(async (transaction) => {
      const replaying = new DeadJobStore(transaction as never);
      expect(await replaying.replay({ ids: [first] })).toBe(1);
      second = enqueue('a', '0s', other);
      // It waits for the row of the key, with a view of the jobs in which the first one is still dead.
      const waiting = `select from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%job_keys%' and datname = current_database()`;
      await eventually(async () => (await environment.sql(waiting)).length > 0);
    });
    expect(await second).toBe(first);
  });

  test('the audit tells what was left out', async () => {
    const first = await givenDead('a');
    await enqueue('a');
    const audit = producer.app.get(Audit);
    const entry = { actor: 'ada', via: 'cli', action: 'dead-letters.replay', subject: 'all' } as const;
    await audit.record(entry, () => dead.replayAll({ ids: [first] }));
    expect(await audit.list(1)).toMatchObject([{ count: 0, refusal: expect.stringContaining('1 left out') }]);
  });
});

describe('debounce', () => {
  const debounce = async (
    n: number,
    { at = producer, delay = '1h', max = undefined as '1h' | undefined } = {},
  ) => at.jobs.enqueue(Sync, { n }, { debounce: { key: 'a', delay: delay as '1h', max } });
  const jobs = () =>
    environment.sql<{ id: string; n: number; state: JobState; wait: number }>(
      `select id, (payload ->> 'n')::int as n, state, extract(epoch from run_at - created_at)::float8 as wait
       from jobs order by id`,
    );
  const start = (id: string) => environment.sql(`update jobs set state = 'queued' where id = $1`, [id]);

  test('however many enqueue at once, there is one job, and the last payload wins', async () => {
    const before = await Promise.all(
      Array.from({ length: 60 }, (_, n) => debounce(n, { at: n % 2 ? producer : other })),
    );
    const last = await debounce(60);
    expect(new Set([...before, last].map(({ id }) => id)).size).toBe(1);
    expect(before.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(last).toMatchObject({ isNew: false, payload: { n: 60 }, state: 'scheduled' });
    expect(await jobs()).toMatchObject([{ id: last.id, n: 60 }]);
  });

  test('its time counts from the last one, and no longer than max from the first', async () => {
    const { id } = await debounce(1);
    await environment.sql(`update jobs set created_at = created_at - interval '30 min' where id = $1`, [id]);
    await debounce(2);
    expect((await jobs())[0]?.wait).toBeGreaterThan(5_300);
    await debounce(3, { max: '1h' });
    expect(await jobs()).toMatchObject([{ id, n: 3, wait: 3_600 }]);
  });

  test.each([
    ['has started', 'queued', 0],
    ['was put off by its worker', 'scheduled', 1],
    ['was cancelled', 'cancelled', 0],
  ])('a job that %s is left alone, and another one is made', async (_, state, claim) => {
    const { id } = await debounce(1);
    await environment.sql('update jobs set state = $2, claim = $3 where id = $1', [id, state, claim]);
    const second = await debounce(2);
    expect(second).toMatchObject({ isNew: true, payload: { n: 2 } });
    expect((await debounce(3)).id).toBe(second.id);
    expect((await jobs()).map(({ n }) => n)).toEqual([1, 3]);
  });

  test('while one starts, each payload is of one that waits or of one that has run', async () => {
    for (let round = 0; round < 20; round++) {
      const { id } = await debounce(1);
      const [, second] = await Promise.all([start(id), debounce(2, { at: other })]);
      const all = await jobs();
      // Either it came before the start, or it is a job of its own: it is not lost.
      expect(all.map(({ n }) => n)).toEqual(second.id === id ? [2] : [1, 2]);
      await environment.sql('delete from jobs');
    }
  });

  test('in bulk, with options for each, and in a transaction', async () => {
    const accepted = await producer.jobs.enqueueAll(
      [1, 2, 3].map((n) => job(Sync, { n }, { debounce: { key: n < 3 ? 'a' : 'b', delay: '1h' } })),
    );
    expect(accepted.map(({ isNew }) => isNew)).toEqual([true, false, true]);
    expect((await jobs()).map(({ n }) => n)).toEqual([2, 3]);
    const database = producer.app.get(Database);
    const undone = database.transaction(async (transaction) => {
      await producer.jobs.enqueue(Sync, { n: 4 }, { debounce: { key: 'a', delay: '1h' }, transaction });
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect((await jobs()).map(({ n }) => n)).toEqual([2, 3]);
  });

  test('its key is kept as long as it waits', async () => {
    const { id } = await debounce(1);
    await environment.sql(`update job_keys set expires_at = now() - interval '100 days'`);
    const day = 86_400_000;
    const days = { succeeded: day, cancelled: day, discarded: day, others: day };
    for await (const _ of producer.app.get(Retention).prune(days));
    expect((await debounce(2)).id).toBe(id);
    await end(id, 'succeeded');
    await environment.sql(`update job_keys set expires_at = now() - interval '100 days'`);
    for await (const _ of producer.app.get(Retention).prune(days));
    expect(await environment.sql('select from job_keys')).toEqual([]);
  });
});
