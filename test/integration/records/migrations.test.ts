import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { migrateDatabase } from '#records';
import { givenEnvironment } from '#testing/services';

test('the first migration stands for those up to 0015: earlier code finds their names, and an older database is refused', async () => {
  const environment = await givenEnvironment([]);
  const last = '0015-fewer-index-entries';
  try {
    const names = await environment.sql('select name from kysely_migration');
    expect(names).toEqual(expect.arrayContaining([{ name: '0004-batches' }, { name: last }]));
    await environment.sql('delete from kysely_migration where name = $1', [last]);
    await expect(migrateDatabase(environment.databaseUrl)).rejects.toThrow(
      /lacks the migration 0015-fewer-index-entries, and is too old/,
    );
  } finally {
    await environment.close();
  }
});

test('the tables of a part come from its lib, whether or not an earlier version has made them', async () => {
  const environment = await givenEnvironment([]);
  const files = ['batches', 'dashboard', 'limits']
    .map((lib) => `libs/${lib}/src/migrations`)
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)));
  const tables = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/create table if not exists (\w+)/g)].map(([, name]) => name),
  );
  const ofParts = files.map((file) => basename(file, '.sql')).sort();
  const migrateAgain = async () => {
    await environment.sql('delete from kysely_migration where name = any ($1)', [ofParts]);
    expect(await migrateDatabase(environment.databaseUrl)).toEqual(ofParts);
  };
  try {
    await migrateAgain();
    for (const table of tables) await environment.sql(`drop table ${table} cascade`);
    await migrateAgain();
    const made = await environment.sql(
      'select count(*)::int from unnest($1::text[]) t where to_regclass(t) is not null',
      [tables],
    );
    expect(made).toEqual([{ count: tables.length }]);
  } finally {
    await environment.close();
  }
});

test('a database that a part has migrated which was removed since, or a newer version, is up to date', async () => {
  const environment = await givenEnvironment([]);
  try {
    await environment.sql(`insert into kysely_migration values ('9999-removed', '2027-01-31T09:00:00.000Z')`);
    expect(await migrateDatabase(environment.databaseUrl)).toEqual([]);
  } finally {
    await environment.close();
  }
});
