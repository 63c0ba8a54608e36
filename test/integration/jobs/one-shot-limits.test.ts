import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, JobHandler, OneShot } from '#jobs';
import { LimitsModule } from '#limits';
import { givenProducerAndWorker } from '#testing/services';

const Limited = defineJob({ name: 'limited.call', queue: 'calls', payload: z.object({}) });

@JobHandler(Limited, { rateLimit: { max: 20, per: '1s' } })
class LimitedHandler implements Handler<typeof Limited> {
  handle() {}
}

test('jobs that a rate limit puts off by moments are waited for, though their queue is empty', async () => {
  const { environment, producer, worker, close } = await givenProducerAndWorker({
    contracts: [Limited],
    handlers: [LimitedHandler],
    imports: [LimitsModule],
  });
  try {
    await Promise.all(Array.from({ length: 40 }, () => producer.jobs.enqueue(Limited, {})));
    expect(await worker.get(OneShot).finished({})).toBe('The queues are empty');
    expect(await environment.sql('select state, count(*)::int from jobs group by state')).toEqual([
      { state: 'succeeded', count: 40 },
    ]);
  } finally {
    await close();
  }
});
