import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import { defineJob, type Handler, JobHandler } from '#jobs';
import { DeadRecords, ForeignLetters, Views } from '#records';
import { type Environment, eventually, givenEnvironment, givenProducer, givenWorker } from '#testing';

const Known = defineJob({ name: 'known.job', queue: 'known', payload: z.unknown(), retry: [] });
const Late = defineJob({ name: 'late.job', queue: 'known', payload: z.unknown(), retry: [] });
const Other = defineJob({ name: 'other.job', queue: 'other', payload: z.unknown() });

@JobHandler(Known)
class KnownHandler implements Handler<typeof Known> {
  async handle() {
    throw new Error('no');
  }
}
@JobHandler(Late)
class LateHandler implements Handler<typeof Late> {
  async handle() {
    return 'done';
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>> | undefined;
let letters: ForeignLetters;
const all = () => letters.list({}, { limit: 100 });
const depths = async () =>
  Promise.all(['known.dead', 'other.dead', 'jobs.unroutable'].map((queue) => environment.countReady(queue)));

beforeAll(async () => {
  environment = await givenEnvironment([Known, Other]);
  producer = await givenProducer(environment, { contracts: [Known, Other] });
  letters = producer.app.get(ForeignLetters);
});
beforeEach(async () => {
  worker = await givenWorker(environment, { contracts: [Known, Other], handlers: [KnownHandler] });
});
afterEach(async () => {
  await worker?.close();
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

test('P12: what no record stands for can be looked at, and discarded: it and nothing else', async () => {
  const [job] = await producer.jobs.enqueueMany(Known, [1]);
  const binary = Buffer.from([0xff, 0x00, 0x80]);
  const odd = {
    messageId: 'mine',
    type: 'x\0y',
    headers: { note: 'a\0b', list: [1, { n: 2 }], raw: binary },
  };
  await environment.publish('known.job', 'no JSON', odd);
  await environment.publish('known.job', 'no JSON', odd);
  await environment.publish('known.job', binary);
  await environment.publish('known.job', 'x'.repeat(10_000), { headers: { CC: ['other', 'known'] } });

  await eventually(async () => (await letters.count()) === 4, 30_000);
  await eventually(async () => expect(await depths()).toEqual([5, 0, 0]) === undefined);
  const found = await all();
  expect(found).toHaveLength(3);
  expect(found.find(({ copies }) => copies === 2)).toMatchObject({
    queue: 'known',
    reason: expect.stringContaining('messageId'),
    properties: { messageId: 'mine', type: 'x\0y' },
    headers: { note: 'a\0b' },
    size: 7,
    body: Buffer.from('no JSON'),
    wish: null,
  });
  const long = found.find(({ size }) => size === 10_000);
  expect(long!.body).toHaveLength(4_096);
  expect(found.find(({ size }) => size === 3)!.body).toEqual(binary);

  expect(await letters.wish('discard', { ids: [long!.id] })).toBe(1);
  await eventually(async () => expect(await depths()).toEqual([4, 0, 0]) === undefined, 30_000);
  expect(await letters.wish('discard', { queue: 'known' })).toBe(3);
  await eventually(async () => expect(await depths()).toEqual([1, 0, 0]) === undefined, 30_000);
  await eventually(async () => (await all()).length === 0);
  expect((await producer.app.get(Views).find(job!.id))?.state).toBe('dead');
  expect(await producer.app.get(DeadRecords).discard({})).toBe(1);
});

test('P12: a foreign message that is replayed runs once its contract is known; one that is as bad as before comes back', async () => {
  const id = uuid();
  await environment.publish('known.job', '{}', { messageId: id, type: 'late.job' });
  await environment.publish('known.job', 'still no JSON');
  await eventually(async () => (await letters.count({ queue: 'known' })) === 2, 30_000);

  await worker?.close();
  worker = await givenWorker(environment, {
    contracts: [Known, Late, Other],
    handlers: [KnownHandler, LateHandler],
  });
  expect(await letters.wish('replay', {})).toBe(2);
  await eventually(async () => (await producer.app.get(Views).find(id))?.state === 'succeeded', 30_000);
  await eventually(async () => {
    const found = await all();
    return found.length === 1 && found[0]!.size === 13 && found[0]!.wish === null;
  }, 30_000);
  await letters.wish('discard', {});
  await eventually(async () => expect(await depths()).toEqual([0, 0, 0]) === undefined, 30_000);
});

test('P12: what no queue took keeps its routing key, and gets through when it is replayed after the binding is there', async () => {
  await environment.publish('stranger.key', 'kept', { messageId: 'stranger' });
  const [letter] = await eventually(async () => {
    const found = await all();
    return found.length > 0 ? found : undefined;
  }, 30_000);
  expect(letter).toMatchObject({ queue: 'jobs.unroutable', reason: 'No queue takes "stranger.key"' });

  await environment.management('POST', '/bindings/{vhost}/e/jobs/q/other.dead', {
    routing_key: 'stranger.key',
  });
  expect(await letters.wish('replay', { ids: [letter!.id] })).toBe(1);
  await eventually(async () => (await environment.countReady('jobs.unroutable')) === 0, 30_000);
  await eventually(
    async () => (await all()).some(({ queue, size }) => queue === 'other' && size === 4),
    30_000,
  );
});
