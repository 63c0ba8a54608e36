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
