import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import {
  type Environment,
  givenEnvironment,
  givenProducer,
  givenWorker,
  type Producer,
} from '#testing/services';
import { openWorkplace, type Workplace } from '../../../scripts/services/private.js';
import { type RabbitmqNode, startRabbitmqNodes } from '../../../scripts/services/rabbitmq-node.js';
import { canHaveRabbitmq } from '../../../scripts/services/rabbitmq-package.js';

/**
 * A broker of the test's own, which waits one second for an acknowledgement rather than half an hour. It then closes the
 * channel (RabbitMQ 4.3: it cancels the consumer) and delivers the message again.
 */
const SETTINGS = { consumer_timeout: 1_000, channel_tick_interval: 500 };

const Long = defineJob({ name: 'long.run', queue: 'long', payload: z.object({}), retry: [], timeout: '1m' });

const runs: string[] = [];
let finish = () => {};

@JobHandler(Long)
class LongHandler implements Handler<typeof Long> {
  async handle({ id }: JobContext<typeof Long>) {
    runs.push(id);
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
  }
}

let place: Workplace | undefined;
let environment: Environment;
let producer: Producer;
let workers: Awaited<ReturnType<typeof givenWorker>>[] = [];
/** How often a consumer has attached again, as its log line says: once after each time-out. */
let attached = 0;

// Docker's broker has the half hour.
const available = await canHaveRabbitmq();
if (!available) console.warn('consumer_timeout is not tested: install rabbitmq-server to have it tested');

beforeAll(async () => {
  if (!available) return;
  place = await openWorkplace();
  const [broker] = (await startRabbitmqNodes(place, 1, console.warn)) as [RabbitmqNode];
  const setting = ([name, value]: [string, number]) => `application:set_env(rabbit, ${name}, ${value})`;
  await broker.ctl('eval', `${Object.entries(SETTINGS).map(setting).join(', ')}.`);
  const databaseUrl = process.env.WARREN_TEST_DATABASE_URL as string;
  const databaseTemplate = process.env.WARREN_TEST_DATABASE_TEMPLATE;
  environment = await givenEnvironment([Long], { ...broker.addresses, databaseUrl, databaseTemplate });
  producer = await givenProducer(environment, { contracts: [Long] });
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  Logger.overrideLogger(false);
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
  await place?.guard.end();
});

async function startWorkers(count: number): Promise<void> {
  const options = { contracts: [Long], handlers: [LongHandler] };
  workers = await Promise.all(Array.from({ length: count }, () => givenWorker(environment, options)));
  await eventually(async () => (await environment.countConsumers('long')) === count);
  attached = 0;
  const note = (line: unknown) => {
    if ((line as { msg?: string }).msg === 'Consuming long') attached++;
  };
  Logger.overrideLogger({ log: note, warn: () => {}, error: () => {} });
}

(available ? describe : describe.skip)('P3: a job longer than consumer_timeout runs once', () => {
  test.each([
    ['in the only worker, which gets it again', 1, 2],
    ['with a second worker that may get it', 2, 1],
  ])('%s', async (_, count, timeouts) => {
    await startWorkers(count);
    runs.length = 0;
    const { id } = await producer.jobs.enqueue(Long, {});
    await eventually(() => runs.length > 0);
    await eventually(() => attached >= timeouts, 20_000);
    finish();

    const views = producer.app.get(JobQueries);
    const job = await eventually(async () => {
      const job = await views.find(id);
      return job?.state === 'running' ? undefined : job;
    });
    expect(job).toMatchObject({ state: 'succeeded', attempt: 1, attempts: [{ outcome: 'succeeded' }] });
    await Promise.all(workers.map((worker) => worker.close()));
    expect(runs).toEqual([id]);
    expect(await environment.countReady('long')).toBe(0);
    expect(await environment.countReady('long.dead')).toBe(0);
  });
});
