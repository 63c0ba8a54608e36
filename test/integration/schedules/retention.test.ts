import { expect, test } from '@jest/globals';
import { givenRetention } from '../../support/retention.js';

test('the ticks of a schedule go at their own age', async () => {
  const { environment, prune, close } = await givenRetention();
  try {
    await environment.sql(`
      insert into schedules (name, spec, next_at) values ('daily', '{}', now());
      insert into schedule_ticks (schedule, tick, outcome, decided_at) values
        ('daily', now() - interval '31 days', 'enqueued', now() - interval '31 days'),
        ('daily', now(), 'enqueued', now())`);
    await prune();
    expect(await environment.sql('select schedule from schedule_ticks')).toEqual([{ schedule: 'daily' }]);
  } finally {
    await close();
  }
});
