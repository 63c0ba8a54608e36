import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, JobHandler } from '#jobs';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Compute = defineJob({ name: 'compute.much', queue: 'compute', payload: z.object({}) });
const contracts = [Compute];

/** Turns of the event loop so far, and what it was when each handler started. */
let turns = 0;
const startedIn: number[] = [];

@JobHandler(Compute)
class ComputeHandler implements Handler<typeof Compute> {
  async handle() {
    startedIn.push(turns);
    for (const until = performance.now() + 20; performance.now() < until; );
    return null;
  }
}

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>>;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterAll(async () => {
  await worker?.close();
  await producer?.close();
  await environment?.close();
});

test('the event loop goes round between handlers that compute, though all were claimed at once', async () => {
  const jobs = 20;
  await producer.jobs.enqueueMany(Compute, Array(jobs).fill({}));
  await eventually(async () => (await environment.countReady('compute')) === jobs);
  let counting = true;
  const count = () => {
    turns++;
    if (counting) setImmediate(count);
  };
  count();
  worker = await givenWorker(environment, {
    contracts,
    handlers: [ComputeHandler],
    settings: { WORKER_PREFETCH: { fallback: jobs, queues: new Map() } },
  });
  await eventually(() => startedIn.length === jobs);
  counting = false;
  expect(new Set(startedIn).size).toBe(jobs);
});
