import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, JobServer } from '#jobs';
import { Retention, WorkerStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

const Hold = defineJob({ name: 'hold.on', queue: 'hold', payload: z.number() });
let isReleased = false;

@JobHandler(Hold)
class HoldHandler implements Handler<typeof Hold> {
  async handle({ payload }: JobContext<typeof Hold>) {
    // Again and again: what held the event loop before the worker looked at it for the first time is not measured.
    while (!isReleased) {
      const until = Date.now() + payload;
      while (Date.now() < until);
      await pause(payload);
    }
  }
}

const contracts = [Hold];
let environment: Environment;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>> | undefined;

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  producer = await givenProducer(environment, { contracts });
});
afterAll(async () => {
  isReleased = true;
  await worker?.close();
  await producer?.close();
  await environment?.close();
});

test('a worker without any contract is ready: it waits for code, not for its queues', async () => {
  const idle = await givenWorker(environment, { contracts: [], handlers: [] });
  expect(idle.get(JobServer).detached).toEqual([]);
  await idle.close();
});

test('a worker is shown with what it runs while it lives, and pruned some time after that', async () => {
  const workers = producer.app.get(WorkerStore);
  expect(await workers.list()).toEqual([]);

  worker = await givenWorker(environment, { contracts, handlers: [HoldHandler] });
  const { id } = await producer.jobs.enqueue(Hold, 300);
  await eventually(async () => (await workers.list())[0]?.running === 1);
  // The first report is of the start; the next one, 5 s later, tells of the handler that held the event loop.
  const [shown] = await eventually(async () => {
    const shown = await workers.list();
    return shown[0]!.eventLoopLagMs > 250 ? shown : undefined;
  });
  expect(shown).toMatchObject({
    name: expect.stringMatching(/.+:\d+/),
    queues: ['hold'],
    jobs: [{ id, name: 'hold.on', queue: 'hold', attempt: 1, startedAt: expect.any(Date) }],
  });
  expect(shown!.rssBytes).toBeGreaterThan(10_000_000);
  expect(shown!.lastSeen.getTime()).toBeGreaterThan(shown!.startedAt.getTime());

  const known = async () => environment.sql('select from workers');
  const prune = async () => {
    for await (const _ of producer.app
      .get(Retention)
      .prune({ succeeded: 0, cancelled: 0, discarded: 0, others: 0 }));
  };
  await prune();
  expect(await known()).toHaveLength(1);
  isReleased = true;
  await worker.close();
  worker = undefined;
  await eventually(async () => (await workers.list()).length === 0);
  await prune();
  expect(await known()).toHaveLength(0);
});
