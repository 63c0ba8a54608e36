import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from '#jobs';
import { Audit, Database, DeadJobStore, JobQueries, type JobState } from '#records';
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
