import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { Contracts, defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { QueueStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const payload = z.object({ lane: z.string(), failures: z.int().default(0) });
const Mail = defineJob({ name: 'mail.send', queue: 'mail', payload, retry: ['200ms'], priorities: true });
/** Shares the queue, and with it the priorities. */
const Other = defineJob({ name: 'mail.other', queue: 'mail', payload, retry: [] });
const Elsewhere = defineJob({ name: 'elsewhere', queue: 'elsewhere', payload });
const contracts = [Mail, Other, Elsewhere];

/** The lanes of the jobs that have run, in their order. */
let ran: string[] = [];
@JobHandler(Mail)
class MailHandler implements Handler<typeof Mail> {
  async handle({ payload: { lane, failures }, attempt }: JobContext<typeof Mail>) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    ran.push(lane);
    if (attempt <= failures) throw new Error('fails as often as it was told to');
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
const workers: Awaited<ReturnType<typeof givenWorker>>[] = [];

beforeEach(async () => {
  ran = [];
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterEach(async () => {
  await stopWorkers();
  await producer?.close();
  await environment?.close();
});

async function givenAWorker(queues: string[] = []) {
  const settings = { WORKER_PREFETCH: { fallback: 7, queues: new Map() }, WORKER_QUEUES: queues };
  workers.push(await givenWorker(environment, { contracts, handlers: [MailHandler], settings }));
}
const stopWorkers = () => Promise.all(workers.splice(0).map((worker) => worker.close()));
const enqueue = (lane: 'high' | 'normal' | 'low', count: number) =>
  producer.jobs.enqueueMany(
    Mail,
    Array.from({ length: count }, () => ({ lane })),
    { priority: lane },
  );
const ready = (queue: string) => environment.countReady(queue);

test('high overtakes what came before it, and low is not starved', async () => {
  await enqueue('low', 10);
  await enqueue('normal', 60);
  await enqueue('high', 60);
  await eventually(async () => (await ready('mail.high')) === 60);
  expect([await ready('mail'), await ready('mail.low')]).toEqual([60, 10]);

  await givenAWorker();
  await eventually(() => ran.length === 130, 30_000);
  expect(ran.lastIndexOf('high')).toBeLessThan(ran.lastIndexOf('normal'));
  expect(ran.indexOf('low')).toBeLessThan(ran.lastIndexOf('high'));
});

test('a job keeps its priority when it is tried again, delayed or published by the relay', async () => {
  const [retried] = await Promise.all([
    producer.jobs.enqueue(Mail, { lane: 'high', failures: 1 }, { priority: 'high' }),
    producer.jobs.enqueue(Mail, { lane: 'low' }, { priority: 'low', delay: '100ms' }),
  ]);
  // Serves another queue: only its relay is wanted.
  await givenAWorker(['elsewhere']);
  await eventually(async () => (await ready('mail.low')) === 1);
  await stopWorkers();

  await givenAWorker(['mail']);
  await eventually(() => ran.includes('high'));
  await stopWorkers();
  // It lies in the queue of its priority again, unless this worker was quick enough to run it once more.
  await eventually(
    async () => (await ready('mail.high')) + ran.filter((lane) => lane === 'high').length === 2,
  );
  await givenAWorker();
  await eventually(async () => {
    const [job] = await environment.sql('select state, attempt, priority, queue from jobs where id = $1', [
      retried.id,
    ]);
    return job?.state === 'succeeded' && job;
  });
  expect(
    await environment.sql('select queue, priority, attempt from jobs where id = $1', [retried.id]),
  ).toEqual([{ queue: 'mail', priority: 'high', attempt: 2 }]);
});

test('the dead of all priorities lie in one dead-letter queue', async () => {
  await givenAWorker();
  await producer.jobs.enqueue(Mail, { lane: 'high', failures: 2 }, { priority: 'high' });
  await producer.jobs.enqueue(Mail, { lane: 'low', failures: 2 }, { priority: 'low' });
  await eventually(async () => (await ready('mail.dead')) === 2);
});

test('a pause rests all priorities of a queue', async () => {
  await producer.app.get(QueueStore).pause('mail');
  await givenAWorker();
  await Promise.all([enqueue('high', 1), enqueue('normal', 1), enqueue('low', 1)]);
  await eventually(async () =>
    (await Promise.all(['mail.high', 'mail', 'mail.low'].map(ready))).every((count) => count === 1),
  );
  expect(ran).toEqual([]);
  await producer.app.get(QueueStore).resume('mail');
  await eventually(() => ran.length === 3);
});

test('priorities are refused where there are none, and names that they need', async () => {
  const enqueued = producer.jobs.enqueue(Elsewhere, { lane: 'high' }, { priority: 'high' });
  await expect(enqueued).rejects.toThrow('The queue "elsewhere" has no priorities');
  await producer.jobs.enqueue(Other, { lane: 'high' }, { priority: 'high' });
  const Taken = defineJob({ name: 'taken', queue: 'mail.low', payload });
  expect(() => new Contracts([Mail, Taken])).toThrow('The queue "mail.low" of a contract is also where');
});
