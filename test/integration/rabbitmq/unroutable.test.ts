import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { Contracts, defineJob, type Handler, JobHandler } from '#jobs';
import { Broker } from '#rabbitmq';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Ping = defineJob({ name: 'ping.once', queue: 'ping', payload: z.object({}) });

@JobHandler(Ping)
class PingHandler implements Handler<typeof Ping> {
  async handle() {
    return null;
  }
}

const contracts = [Ping];
let environment: Environment;
let producer: Producer;
let close = async () => {};

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({ contracts, handlers: [PingHandler] }));
});
afterAll(() => close());

test('P1: a job that no queue took runs once its binding is there again; what nobody knows is kept', async () => {
  await environment.management('DELETE', '/bindings/{vhost}/e/jobs/q/ping/ping.once');
  const { id } = await producer.jobs.enqueue(Ping, {});
  await environment.publish('nobody.knows', 'kept', { messageId: 'no job' });
  // Both were confirmed, and both are taken out of the queue of the unroutable: one is a dead letter, one waits.
  const [letter] = await eventually(async () => {
    const found = await environment.sql<{ id: string }>(
      `select id from jobs where queue = 'jobs.unroutable'`,
    );
    return found.length > 0 ? found : undefined;
  }, 30_000);

  await producer.app.get(Broker).declare(producer.app.get(Contracts).topology);
  await eventually(async () => (await producer.app.get(JobQueries).find(id))?.state === 'succeeded', 45_000);
  expect(await environment.countReady('jobs.unroutable')).toBe(0);
  expect(await environment.drainQueue('jobs.unroutable.dead')).toMatchObject([
    { content: 'kept', properties: { messageId: letter!.id } },
  ]);
  const job = await producer.app.get(JobQueries).find(letter!.id);
  expect(job).toMatchObject({ state: 'dead', error: { message: 'no queue takes "nobody.knows"' } });
});
