import { expect, test } from '@jest/globals';
import { givenRetention } from '../../support/retention.js';

test('a batch that has ended goes at its own age', async () => {
  const { environment, prune, close } = await givenRetention();
  try {
    await environment.sql(`
      insert into batches (id, name, total, completed_at) values
        (gen_random_uuid(), 'old', 0, now() - interval '31 days'), (gen_random_uuid(), 'new', 0, now())`);
    await prune();
    expect(await environment.sql('select name from batches')).toEqual([{ name: 'new' }]);
  } finally {
    await close();
  }
});
