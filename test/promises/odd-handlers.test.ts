import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, RetryAfterError, snooze } from '#jobs';
import { Views } from '#records';
import { type Environment, eventually, givenProducerAndWorker, type Producer } from '#testing';

const Odd = defineJob({ name: 'odd.do', queue: 'odd', payload: z.string(), retry: ['1ms'], timeout: '1s' });

const circle: unknown[] = [];
circle.push(circle);
const thrower = (what: string) => () => {
  throw new Error(`${what} throws`);
};
const ways: Record<string, (job: JobContext) => unknown> = {
  'throws a string': () => {
    throw 'just text';
  },
  'throws null': () => {
    throw null;
  },
  'throws a frozen object': () => {
    throw Object.freeze({ message: 'frozen' });
  },
  'throws an object without a prototype': () => {
    throw Object.create(null);
  },
  'throws an error whose message is a getter that throws': () => {
    throw Object.defineProperty(new Error('x'), 'message', { get: thrower('message') });
  },
  'throws an error whose name is a number': () => {
    throw Object.assign(new Error('named oddly'), { name: 7 });
  },
  'throws an object that nothing can be read from': () => {
    throw new Proxy({}, { get: thrower('get') });
  },
  'wants to be tried again after a delay that is none': () => {
    throw new RetryAfterError('soon' as never);
  },
  'snoozes for a delay that is none': () => snooze(Number.NaN),
  'returns a bigint': () => 1n,
  'returns a circle': () => circle,
  'ends after its time-out and grace': () => new Promise((resolve) => setTimeout(resolve, 4_000).unref()),
};

@JobHandler(Odd)
class OddHandler implements Handler<typeof Odd> {
  handle(job: JobContext<typeof Odd>) {
    job.progress(Number.NaN);
    return ways[job.payload]!(job);
  }
}

let environment: Environment;
let producer: Producer;
let close = async () => {};

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({
    contracts: [Odd],
    handlers: [OddHandler],
  }));
});
afterAll(() => close());

describe('a job ends, and says why, when its handler', () => {
  test.each(Object.keys(ways))('%s', async (way) => {
    const { id } = await producer.jobs.enqueue(Odd, way);
    const job = await eventually(async () => {
      const found = await producer.app.get(Views).find(id);
      return found?.state === 'dead' ? found : undefined;
    });
    expect(job.error?.message).toBeTruthy();
    // Letters that are taken out come back in time: their records say that they belong there.
    await eventually(async () =>
      (await environment.drainQueue('odd.dead')).some(({ properties }) => properties.messageId === id),
    );
  });
});
