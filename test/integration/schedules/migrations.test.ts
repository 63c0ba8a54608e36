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
