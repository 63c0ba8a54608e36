import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { JobQueries, JobStore } from '#records';
import { eventually } from '#testing';
import { givenProducerAndWorker, type Producer } from '#testing/services';

const Wait = defineJob({
  name: 'wait.long',
  queue: 'wait',
  payload: z.object({ obeys: z.boolean() }),
  retry: ['100ms'],
  timeout: '1m',
});
const started: string[] = [];
const goOn = new Map<string, () => void>();

@JobHandler(Wait)
class WaitHandler implements Handler<typeof Wait> {
  async handle({ id, payload, signal }: JobContext<typeof Wait>) {
    started.push(id);
    const end = new Promise<void>((resolve) => goOn.set(id, resolve));
    if (!payload.obeys) await end;
    else await Promise.race([end, once(signal, 'abort').then(() => signal.throwIfAborted())]);
    return 'done';
  }
}

const contracts = [Wait];
let producer: Producer;
let close = async () => {};
const find = (id: string) => producer.app.get(JobQueries).find(id);
const cancel = (id: string) => producer.app.get(JobStore).cancel([id]);
const enqueue = (obeys: boolean) => producer.jobs.enqueue(Wait, { obeys });
const isRunning = (id: string) => eventually(() => started.includes(id));
const hasEnded = (id: string) =>
  eventually(async () => {
    const job = await find(id);
    return job?.finishedAt && job;
  });

beforeAll(async () => {
  ({ producer, close } = await givenProducerAndWorker({
    contracts,
    handlers: [WaitHandler],
    settings: { WORKER_PREFETCH: { fallback: 1, queues: new Map() } },
  }));
});
afterAll(() => close());

test('P10: a running job is told, and is cancelled once its handler has obeyed that', async () => {
  const { id } = await enqueue(true);
  await isRunning(id);
  expect(await cancel(id)).toEqual([{ id, state: 'running' }]);
  expect(await hasEnded(id)).toMatchObject({
    state: 'cancelled',
    result: null,
    attempts: [
      { attempt: 1, outcome: 'cancelled', error: { message: 'The job was cancelled while it ran' } },
    ],
  });
  expect(await cancel(id)).toEqual([]);
});

test('P10: a handler that takes no notice goes on to its end, and the job says that it was cancelled', async () => {
  const { id } = await enqueue(false);
  await isRunning(id);
  await cancel(id);
  expect(await find(id)).toMatchObject({ state: 'running', cancelRequestedAt: expect.any(Date) });
  goOn.get(id)!();
  const job = await hasEnded(id);
  expect(job).toMatchObject({ state: 'cancelled', result: null });
  expect(job.error?.message).toContain('took no notice');
});

test('P10: a cancelled job does not start, though its message is in the queue', async () => {
  const first = await enqueue(true);
  await isRunning(first.id);
  const second = await enqueue(true);
  expect(await cancel(second.id)).toEqual([{ id: second.id, state: 'cancelled' }]);
  goOn.get(first.id)!();
  await hasEnded(first.id);
  const third = await enqueue(true);
  await isRunning(third.id);
  expect(started).not.toContain(second.id);
  goOn.get(third.id)!();
  await hasEnded(third.id);
});
