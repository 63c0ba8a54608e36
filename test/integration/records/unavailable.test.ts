import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Database, DatabaseUnavailableError, type Queryable } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment } from '#testing/services';

let environment: Environment;
let database: Database;

beforeAll(async () => {
  environment = await givenEnvironment();
  database = new Database({ url: environment.databaseUrl, poolSize: 1 });
});
afterAll(async () => {
  await database?.onApplicationShutdown();
  await environment?.close();
});

const raising = (code: string) => ({
  text: `do $$ begin raise exception using errcode = '${code}'; end $$`,
  values: [],
});

test.each([
  ['a failover left the database read-only', '25006', /refuses/],
  ['the password was changed', '28P01', /refuses/],
  ['the database is being renamed', '3D000', /refuses/],
  ['two statements locked each other out', '40P01', /refuses/],
  ['it is not migrated yet', '42P01', /schema .*npm run migrate/],
  ['it lacks a column that a newer release has', '42703', /schema .*npm run migrate/],
  ['a grant is missing', '42501', /lacks a grant/],
  ['the disk is full', '53100', /does not answer/],
])('jobs wait for the database when %s, and the message says so', async (_, code, message) => {
  const failure = await database.records.query(raising(code)).catch((error) => error);
  expect(failure).toBeInstanceOf(DatabaseUnavailableError);
  expect(failure.message).toMatch(message);
});

test('a row that is there already is no outage', async () => {
  await expect(database.records.query(raising('23505'))).rejects.toMatchObject({ code: '23505' });
});

test.each(['22021', '22P02', '22P05', '22008'])(
  '%s is told as a mistake of the caller that gave the value',
  async (code) => {
    await expect(database.records.query(raising(code))).rejects.toMatchObject({ name: 'InputError', code });
  },
);

test.each(['42P01', '42703', '42501', '40P01', '57014', '22P02', '23505'])(
  'an error %s of a statement that is not Warren’s reaches its sender as itself',
  async (code) => {
    await expect(database.query(raising(code))).rejects.toMatchObject({ name: 'error', code });
    const inTransaction = database.transaction((transaction) => transaction.query(raising(code)));
    await expect(inTransaction).rejects.toMatchObject({ name: 'error', code });
  },
);

test('an outage is one for every statement', async () => {
  for (const code of ['08006', '53300', '57P01'])
    await expect(database.query(raising(code))).rejects.toBeInstanceOf(DatabaseUnavailableError);
  const lost = { text: 'select pg_terminate_backend(pg_backend_pid())', values: [] };
  await expect(database.query(lost)).rejects.toBeInstanceOf(DatabaseUnavailableError);
  expect((await database.query({ text: 'select 1 as one', values: [] })).rows).toEqual([{ one: 1 }]);
  const nowhere = new Database({ url: 'postgresql://127.0.0.1:1/none', poolSize: 1 });
  await expect(nowhere.transaction(async () => {})).rejects.toBeInstanceOf(DatabaseUnavailableError);
  await nowhere.onApplicationShutdown();
});

test('two statements that wait for each other’s rows both run in the end, alone and in transactions', async () => {
  const pair = new Database({ url: environment.databaseUrl, poolSize: 2 });
  const rows = await environment.sql(
    'create table crossed as select id, 0 as runs from generate_series(1, 2) id',
  );
  expect(rows).toEqual([]);
  // Takes one row, gives the other statement the time to take its own, and then wants that one.
  const crossing = (first: number, second: number) => ({
    text: `
      with held as (update crossed set runs = runs + 1 where id = $1 returning pg_sleep(0.5))
      update crossed set runs = runs + 1 from (select count(*) from held) h where id = $2`,
    values: [first, second],
  });
  await Promise.all([pair.records.query(crossing(1, 2)), pair.records.query(crossing(2, 1))]);
  await Promise.all(
    [crossing(1, 2), crossing(2, 1)].map((statement) =>
      pair.records.transaction((transaction) => transaction.query(statement)),
    ),
  );
  expect(await environment.sql('select runs from crossed')).toEqual([{ runs: 4 }, { runs: 4 }]);
  await pair.onApplicationShutdown();
  const counted = `select deadlocks::int from pg_stat_database where datname = current_database()`;
  await eventually(
    async () => expect(await environment.sql(counted)).toEqual([{ deadlocks: 2 }]) === undefined,
  );
});

test('only Warren’s own statements are planned for keys, on the same connections', async () => {
  const setting = {
    text: "select current_setting('enable_hashjoin') as hash, pg_backend_pid() as pid",
    values: [],
  };
  const read = async (queryable: Queryable) => (await queryable.query(setting)).rows[0] as { hash: string };
  const own = await read(database.records);
  const others = await read(database);
  const inTransaction = await database.transaction(read);
  const broken = database.transaction((transaction) => transaction.query({ text: 'nonsense', values: [] }));
  await expect(broken).rejects.toMatchObject({ code: '42601' });
  expect([own.hash, others.hash, inTransaction.hash]).toEqual(['off', 'on', 'on']);
  expect(await read(database.records)).toEqual(own);
  expect(await database.records.transaction(read)).toEqual(own);
  expect(others).toEqual({ ...own, hash: 'on' });
});

test('a statement that cannot even be written is no outage', async () => {
  const unwritable = { toPostgres: () => 'x'.repeat(2 ** 29) };
  for (const queryable of [database, database.records])
    await expect(queryable.query({ text: 'select $1', values: [unwritable] })).rejects.toBeInstanceOf(
      RangeError,
    );
});
