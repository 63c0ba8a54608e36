import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, JobHandler, snooze } from '#jobs';
import { JobQueries, QueueStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const payload = z.object({});
const Plain = defineJob({ name: 'plain.work', queue: 'plain', payload, retry: [] });
const Flaky = defineJob({ name: 'flaky.work', queue: 'plain', payload, retry: ['1h'] });
const Sleepy = defineJob({ name: 'sleepy.work', queue: 'plain', payload, retry: [] });
const Unserved = defineJob({ name: 'unserved.work', queue: 'unserved', payload, retry: [] });
const contracts = [Plain, Flaky, Sleepy, Unserved];

@JobHandler(Plain)
class PlainHandler implements Handler<typeof Plain> {
  handle() {}
}
@JobHandler(Flaky)
class FlakyHandler implements Handler<typeof Flaky> {
  handle() {
    throw new Error('not today');
  }
}
@JobHandler(Sleepy)
class SleepyHandler implements Handler<typeof Sleepy> {
  handle() {
    return snooze('2h');
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>> | undefined;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

const givenServingWorker = async () => {
  worker = await givenWorker(environment, {
    contracts: contracts.filter((contract) => contract !== Unserved),
    handlers: [PlainHandler, FlakyHandler, SleepyHandler],
  });
};
const reasonOf = async (id: string) => (await producer.app.get(JobQueries).find(id))?.waitingFor;
const eventuallyWaits = (id: string, reason: object | null) =>
  eventually(async () => {
    const found = await reasonOf(id);
    if (reason === null) return expect(found).toBeNull() === undefined;
    return expect(found).toMatchObject(reason) === undefined;
  }, 20_000);

test('P21: what a job waits for is told truly: its time, a pause, a worker', async () => {
  const { jobs } = producer;
  const later = await jobs.enqueue(Plain, {}, { delay: '1h' });
  const time = { what: 'time', detail: later.runAt.toISOString() };
  expect(later.waitingFor).toEqual(time);
  expect(await reasonOf(later.id)).toEqual(time);

  const plain = await jobs.enqueue(Plain, {});
  expect(plain.waitingFor).toMatchObject({ what: 'worker' });
  const nobody = { what: 'worker', detail: 'no worker that is alive serves queue "plain"' };
  expect(await reasonOf(plain.id)).toEqual(nobody);
  const queues = producer.app.get(QueueStore);
  await queues.pause('plain');
  expect(await reasonOf(plain.id)).toEqual({ what: 'pause', detail: 'queue "plain" is paused' });
  expect(await reasonOf(later.id)).toEqual(time);
  await queues.resume('plain');
  expect(await reasonOf(plain.id)).toEqual(nobody);

  await givenServingWorker();
  await eventuallyWaits(plain.id, null);
  expect(await reasonOf((await jobs.enqueue(Unserved, {})).id)).toMatchObject({
    what: 'worker',
    detail: 'no worker that is alive serves queue "unserved"',
  });
});

test('P21: what a job waits for is told truly: a retry, a snooze', async () => {
  await givenServingWorker();
  const { jobs } = producer;
  const flaky = await jobs.enqueue(Flaky, {});
  await eventuallyWaits(flaky.id, { what: 'retry', detail: expect.stringContaining('attempt 2 of 2 at ') });
  const sleepy = await jobs.enqueue(Sleepy, {});
  await eventuallyWaits(sleepy.id, { what: 'time' });
});
