import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Database, DatabaseUnavailableError } from '#records';
import { type Environment, givenEnvironment } from '#testing';

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

const failWith = (code: string) =>
  database.query({ text: `do $$ begin raise exception using errcode = '${code}'; end $$`, values: [] });

test.each([
  ['a failover left the database read-only', '25006'],
  ['the password was changed', '28P01'],
  ['the database is being renamed', '3D000'],
  ['two statements locked each other out', '40P01'],
  ['it is not migrated yet', '42P01'],
  ['it lacks a column that a newer release has', '42703'],
  ['a grant is missing', '42501'],
  ['the disk is full', '53100'],
])('jobs wait for the database when %s', async (_, code) => {
  await expect(failWith(code)).rejects.toBeInstanceOf(DatabaseUnavailableError);
});

test.each([
  ['a value that does not fit', '22P02'],
  ['a row that is there already', '23505'],
])('%s is no outage', async (_, code) => {
  await expect(failWith(code)).rejects.toMatchObject({ code });
});

test('a statement that cannot even be written is no outage', async () => {
  const unwritable = { toPostgres: () => 'x'.repeat(2 ** 29) };
  await expect(database.query({ text: 'select $1', values: [unwritable] })).rejects.toBeInstanceOf(
    RangeError,
  );
});
