import { expect, test } from '@jest/globals';
import { migrateDatabase } from '#records';
import { givenEnvironment } from '#testing/services';

test('a migration that comes into a clone late runs, though others have run that sort after it', async () => {
  const environment = await givenEnvironment([]);
  try {
    await environment.sql('drop table schedule_ticks, schedules');
    await environment.sql(`delete from kysely_migration where name = '0003-schedules'`);
    expect(await migrateDatabase(environment.databaseUrl)).toEqual(['0003-schedules']);
    expect(await migrateDatabase(environment.databaseUrl)).toEqual([]);
  } finally {
    await environment.close();
  }
});

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
  const tables = [
    'batches',
    'rate_limits',
    'concurrency_limits',
    'concurrency_waiters',
    'dashboard_sessions',
  ];
  const ofParts = ['0013-batches', '0013-dashboard-sessions', '0013-limits'];
  const migrateAgain = async () => {
    await environment.sql('delete from kysely_migration where name = any ($1)', [ofParts]);
    expect(await migrateDatabase(environment.databaseUrl)).toEqual(ofParts);
  };
  try {
    await migrateAgain();
    await environment.sql(`drop table ${tables.join(', ')}`);
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
