import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, JobHandler } from '#jobs';
import { LimitsModule } from '#limits';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const payload = z.object({});
const Rare = defineJob({ name: 'rare.work', queue: 'plain', payload, retry: [] });
const Narrow = defineJob({ name: 'narrow.work', queue: 'plain', payload, retry: [] });
const contracts = [Rare, Narrow];

let letGo: () => void;
const held = new Promise<void>((resolve) => {
  letGo = resolve;
});

@JobHandler(Rare, { rateLimit: { max: 1, per: '1h' } })
class RareHandler implements Handler<typeof Rare> {
  handle() {}
}
@JobHandler(Narrow, { concurrency: { max: 1 } })
class NarrowHandler implements Handler<typeof Narrow> {
  handle() {
    return held;
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>>;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
  const handlers = [RareHandler, NarrowHandler];
  worker = await givenWorker(environment, { contracts, handlers, imports: [LimitsModule] });
});
afterAll(async () => {
  letGo();
  await worker?.close();
  await producer?.close();
  await environment?.close();
});

const reachesState = (id: string, state: string) =>
  eventually(async () => (await producer.app.get(JobQueries).find(id))?.state === state, 30_000);
const reasonOf = async (id: string) => (await producer.app.get(JobQueries).find(id))?.waitingFor;

test('P21: a job that a limit put off says which one, until it starts', async () => {
  const { jobs } = producer;
  const first = await jobs.enqueue(Rare, {});
  await reachesState(first.id, 'succeeded');
  const rare = await jobs.enqueue(Rare, {});
  await reachesState(rare.id, 'scheduled');
  expect(await reasonOf(rare.id)).toEqual({
    what: 'limit',
    detail: expect.stringContaining('rate limit of rare.work (1 in 1h); tried again at '),
  });

  const running = await jobs.enqueue(Narrow, {});
  await reachesState(running.id, 'running');
  expect(await reasonOf(running.id)).toBeNull();
  const narrow = await jobs.enqueue(Narrow, {});
  await reachesState(narrow.id, 'scheduled');
  expect(await reasonOf(narrow.id)).toEqual({
    what: 'limit',
    detail: expect.stringContaining('concurrency limit of narrow.work (1 at a time)'),
  });
  letGo();
  await reachesState(narrow.id, 'succeeded');
  expect(await reasonOf(narrow.id)).toBeNull();
});
