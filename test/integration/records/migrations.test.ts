import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { migrateDatabase } from '#records';
import { givenEnvironment } from '#testing/services';

test('what was recorded before the words of the glossary is carried over', async () => {
  const environment = await givenEnvironment([]);
  try {
    await environment.sql('alter table jobs rename crashes to losses');
    await environment.sql('alter table audit rename action to deed');
    const attempts = [
      { attempt: 1, claim: 1, outcome: 'lost', error: null },
      { attempt: 1, claim: 2, outcome: 'failed', error: { message: 'lost' } },
    ];
    await environment.sql(
      `insert into jobs (id, name, queue, state, payload, attempt, max_attempts, losses, attempts, run_at)
       values ('01890a5d-ac96-774b-bcce-b302099a8057', 'a.b', 'a', 'retrying', '{}', 1, 3, 1, $1, now())`,
      [JSON.stringify(attempts)],
    );
    await environment.sql(`delete from kysely_migration where name = '0012-words'`);
    expect(await migrateDatabase(environment.databaseUrl)).toEqual(['0012-words']);
    expect(await environment.sql('select crashes, attempts from jobs')).toEqual([
      { crashes: 1, attempts: [{ ...attempts[0], outcome: 'crashed' }, attempts[1]] },
    ]);
    expect(await environment.sql('select action from audit')).toEqual([]);
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
