import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Test, type TestingModule } from '@nestjs/testing';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { loadSettings, SettingsModule } from '#config';
import {
  Database,
  JobQueries,
  JobSearch,
  JobStore,
  type NewRecord,
  OutboxStore,
  QueueStore,
  RecordsModule,
  WorkerLock,
} from '#records';
import { type Environment, givenEnvironment } from '#testing/services';

let environment: Environment;
let app: TestingModule;

beforeAll(async () => {
  environment = await givenEnvironment([]);
  app = await Test.createTestingModule({
    // One connection, so that every statement runs by the plan that was made first.
    imports: [
      SettingsModule.forRoot(() =>
        loadSettings({ DATABASE_URL: environment.databaseUrl, DATABASE_POOL: '1' }),
      ),
      RecordsModule,
    ],
  }).compile();
});
afterAll(async () => {
  await app?.close();
  await environment?.close();
});

/**
 * Statements are planned while the table is empty and run when it is not. What they read of it then, by PostgreSQL's
 * own count, shows whether they find jobs by their ids or look through all that wait.
 */
test('P15: a claim and a settlement read no more of the table when 20,000 jobs wait in it', async () => {
  const records = app.get(JobStore);
  const database = app.get(Database);
  await app.get(WorkerLock).id();
  await environment.sql('alter table jobs set (autovacuum_enabled = off)');

  const givenJobs = async (count: number) => {
    const jobs = Array.from({ length: count }, (): NewRecord => {
      return { id: uuidv7(), name: 'a.b', queue: 'a', payload: '{}', maxAttempts: 1 };
    });
    await records.insertMany(jobs);
    return jobs;
  };
  const work = async (jobs: readonly NewRecord[]) => {
    const claims = await Promise.all(
      jobs.map(({ id }) => records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: false })),
    );
    expect(claims.every(({ taken }) => taken)).toBe(true);
    const settled = await Promise.all(
      jobs.map(({ id }) => records.settle({ id, claim: 1, state: 'succeeded', result: 'null' })),
    );
    expect(settled.every((state) => state === 'succeeded')).toBe(true);
    const refused = await Promise.all(
      jobs.map(({ id }) => records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: false })),
    );
    expect(refused.every(({ taken }) => !taken)).toBe(true);
    await app.get(OutboxStore).markPublished(jobs.map(({ id }) => ({ id, claim: 0 })));
  };
  /** Rows of the table that statements have looked at so far. */
  const rowsRead = async () => {
    await database.query({ text: 'select pg_stat_force_next_flush()', values: [] });
    const [row] = await environment.sql<{ read: number }>(
      `select (seq_tup_read + idx_tup_fetch)::int as read from pg_stat_user_tables where relname = 'jobs'`,
    );
    return row?.read ?? 0;
  };

  // PostgreSQL settles on a plan with the sixth execution.
  for (let turn = 0; turn < 8; turn++) await work(await givenJobs(10));
  const before = await rowsRead();
  await work(await givenJobs(50));
  const few = (await rowsRead()) - before;

  for (let page = 0; page < 20; page++) await givenJobs(1_000);
  const filled = await rowsRead();
  await work(await givenJobs(50));
  const many = (await rowsRead()) - filled;

  expect(few).toBeGreaterThan(0);
  expect(many).toBeLessThan(2 * few);
});

/** To plan a claim takes as long as to run it, and on a machine that is not busy jobs come one by one. */
test('P15: what happens to a single job is not planned again each time', async () => {
  const records = app.get(JobStore);
  const plansMade = async () => {
    const { rows } = await app.get(Database).query<{ name: string; made: number }>({
      text: `select name, custom_plans::int as made from pg_prepared_statements
             where name in ('insert', 'claim', 'succeed') order by name`,
      values: [],
    });
    return rows;
  };
  const work = async (count: number) => {
    for (let turn = 0; turn < count; turn++) {
      const id = uuidv7();
      await records.insert({ id, name: 'a.b', queue: 'a', payload: '{}', maxAttempts: 1 });
      await records.claim({ id, name: 'a.b', attempt: 1, wantsPayload: false });
      await records.settle({ id, claim: 1, state: 'succeeded', result: 'null' });
    }
  };

  // Five plans of its own, and PostgreSQL compares them with the one for all.
  await work(8);
  const before = await plansMade();
  expect(before.map(({ name }) => name)).toEqual(['claim', 'insert', 'succeed']);
  await work(8);
  expect(await plansMade()).toEqual(before);
});

/** Entries of indexes of the table that a look reads, dead ones included. */
const readBy = async (look: () => Promise<unknown>) => {
  const read = async () => {
    await app.get(Database).query({ text: 'select pg_stat_force_next_flush()', values: [] });
    const [row] = await environment.sql<{ read: number }>(
      `select sum(idx_tup_read)::int as read from pg_stat_user_indexes where relname = 'jobs'`,
    );
    return row?.read ?? 0;
  };
  const before = await read();
  await look();
  return (await read()) - before;
};

test('P15: while a transaction is held open, the looks of the duties read little of what has passed', async () => {
  const PASSED = 3_000;
  const [outbox, database] = [app.get(OutboxStore), app.get(Database)];
  // What the tests before this one left in the outbox is not to be read.
  await environment.sql('update jobs set publish_at = null where publish_at is not null');
  await environment.sql('vacuum (index_cleanup on) jobs');
  const held = new pg.Client({ connectionString: environment.databaseUrl });
  held.on('error', () => {});
  await held.connect();
  await held.query('begin isolation level repeatable read');
  await held.query('select pg_current_xact_id()');
  const jobs = Array.from({ length: PASSED }, (): NewRecord => {
    return { id: uuidv7(), name: 'a.b', queue: 'a', payload: '{}', maxAttempts: 1 };
  });
  // Their own time in the outbox is out of the way of every look.
  await app.get(JobStore).insertMany(jobs, database.records, 3_600_000);
  await environment.sql(
    `update jobs set publish_at = now() - interval '1 minute' where publish_at is not null`,
  );
  await outbox.markPublished(jobs.map(({ id }) => ({ id, claim: 0 })));

  expect(await readBy(() => outbox.takeDue(250, 1e12, 0, 0))).toBeGreaterThanOrEqual(PASSED);
  expect(await readBy(() => outbox.takeDue(250, 2_000, 0, 0))).toBeLessThan(100);
  expect(await readBy(() => outbox.missingWorkers())).toBe(0);
  await held.end();
});

test('queued jobs are counted and listed, whether the relay has still to publish them or not', async () => {
  await environment.sql('truncate jobs cascade');
  const jobs = ['a', 'b', 'a'].map((queue): NewRecord => {
    return { id: uuidv7(), name: 'a.b', queue, payload: '{}', maxAttempts: 1 };
  });
  await app.get(JobStore).insertMany(jobs);
  const [first, second, third] = jobs.map(({ id }) => id) as [string, string, string];
  await app.get(OutboxStore).markPublished([{ id: second, claim: 0 }]);

  const filter = { state: 'queued', limit: 2 } as const;
  const ids = async (more: object = {}) =>
    (await app.get(JobQueries).list({ ...filter, ...more })).map(({ id }) => id);
  expect([await ids(), await ids({ before: second }), await ids({ queue: 'a' })]).toEqual([
    [third, second],
    [first],
    [third, first],
  ]);
  expect((await app.get(JobSearch).find(filter)).items.map(({ id }) => id)).toEqual([third, second]);
  const counts = (await app.get(QueueStore).list()).map(({ queue, queued }) => [queue, queued]);
  expect(counts).toEqual([
    ['a', 2],
    ['b', 1],
  ]);
  expect(await app.get(OutboxStore).republishAll()).toBe(3);
});

test('P15, P16: a look at held jobs reads those that a worker knows, of however many; all are counted and listed', async () => {
  const HELD = 3_000;
  await environment.sql('truncate jobs cascade');
  const jobs = Array.from({ length: HELD }, (_, n): NewRecord => {
    return { id: uuidv7(), name: n < 2 ? 'a.b' : 'not.known', queue: 'a', payload: '{}', maxAttempts: 1 };
  });
  await app.get(JobStore).insertMany(jobs);
  await environment.sql(
    `update jobs set held_until = now() + interval '1 day', publish_at = now() + interval '1 day',
       held_for = jsonb_build_object(name, 1)`,
  );
  await app.get(WorkerLock).id();
  await environment.sql(`update workers set queues = '{a}', contracts = '{"a.b": 1}'`);
  const outbox = app.get(OutboxStore);
  let count = 0;
  const read = await readBy(async () => {
    count = await outbox.makeHeldDue(100);
  });
  expect(count).toBe(2);
  expect(read).toBeLessThan(100);

  expect(await app.get(JobQueries).list({ state: 'queued', limit: 10_000 })).toHaveLength(HELD);
  const [queue] = await new QueueStore(app.get(Database).records).list();
  expect(queue).toMatchObject({ queue: 'a', queued: HELD });
  // What was made due has a message in a moment; of the others there is nothing to publish again.
  expect(await outbox.republishAll()).toBe(2);
});
