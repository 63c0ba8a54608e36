import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from '#jobs';
import { type Environment, givenEnvironment, givenProducer } from '#testing';

const Ping = defineJob({ name: 'ping.many', queue: 'ping', payload: z.object({}) });
const contracts = [Ping];

let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  // The broker confirms as it always does; with so small a window the producer is far ahead of it.
  producer = await givenProducer(environment, { contracts, publisher: { window: 100 } });
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

test('a producer that is faster than the broker is slowed down, and no job is left to the relay', async () => {
  const jobs = 2_000;
  let next = 0;
  const lane = async () => {
    while (next++ < jobs) await producer.jobs.enqueue(Ping, {});
  };
  await Promise.all(Array.from({ length: 70 }, lane));
  // Nobody relays here: what was refused a place in the window would be missing.
  await producer.close();
  expect(await environment.countReady('ping')).toBe(jobs);
});
