import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Test, type TestingModule } from '@nestjs/testing';
import { z } from 'zod';
import { loadSettings } from '#config';
import { defineJob, Jobs, JobsModule } from '#jobs';
import { Broker } from '#rabbitmq';
import { eventually } from '#testing';
import { type Environment, givenEnvironment } from '#testing/services';

const Ping = defineJob({ name: 'ping.many', queue: 'ping', payload: z.object({}) });
const contracts = [Ping];

let environment: Environment;
let producer: TestingModule;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  // The broker confirms as it always does; with so small a window the producer is far ahead of it.
  const { databaseUrl, rabbitmqUrl } = environment;
  const settings = () => loadSettings({ DATABASE_URL: databaseUrl, RABBITMQ_URL: rabbitmqUrl });
  producer = await Test.createTestingModule({ imports: [JobsModule.forRoot({ contracts, settings })] })
    .overrideProvider(Broker)
    .useFactory({ factory: () => new Broker({ urls: [rabbitmqUrl], publisher: { window: 100 } }) })
    .compile();
  await eventually(() => producer.get(Broker).publisher.room > 0);
});
afterAll(async () => {
  await environment?.close();
});

test('a producer that is faster than the broker is slowed down, and no job is left to the relay', async () => {
  const jobs = 2_000;
  let next = 0;
  const lane = async () => {
    while (next++ < jobs) await producer.get(Jobs).enqueue(Ping, {});
  };
  // Nobody relays here: what was refused a place in the window would be missing.
  await Promise.all(Array.from({ length: 70 }, lane)).finally(() => producer.close());
  expect(await environment.countReady('ping')).toBe(jobs);
});
