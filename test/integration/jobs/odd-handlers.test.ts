import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, RetryAfterError, snooze } from '#jobs';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Odd = defineJob({
  name: 'odd.do',
  queue: 'odd',
  payload: z.string(),
  result: z.unknown().refine((result) => (result as { doesFit?: boolean } | null)?.doesFit !== false),
  retry: ['1ms'],
  timeout: '1s',
});

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
  'ends after its time-out and grace': () => new Promise((resolve) => setTimeout(resolve, 4_000).unref()),
};
const results: Record<string, () => unknown> = {
  'holds a bigint': () => ({ a: 1n }),
  'is circular': () => circle,
  'holds a Map': () => ({ a: new Map() }),
  'holds NaN': () => [Number.NaN],
  'is too large': () => 'x'.repeat(2 ** 21),
  'has a toJSON that throws': () => ({ toJSON: thrower('toJSON') }),
  'does not fit the contract': () => ({ doesFit: false }),
};

@JobHandler(Odd)
class OddHandler implements Handler<typeof Odd> {
  handle(job: JobContext<typeof Odd>) {
    job.progress(Number.NaN);
    return (ways[job.payload] ?? results[job.payload])!(job) as never;
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

async function given(way: string) {
  const { id } = await producer.jobs.enqueue(Odd, way);
  return eventually(async () => {
    const found = await producer.app.get(JobQueries).find(id);
    return found?.state === 'dead' ? found : undefined;
  });
}

describe('P6: the work is done, so a job is dead at once when its result', () => {
  test.each(Object.keys(results))('%s', async (way) => {
    const { attempt, error } = await given(way);
    expect(error?.message).toMatch(/^The result .*\/result/);
    expect(attempt).toBe(1);
  });
});

describe('a job ends, and says why, when its handler', () => {
  test.each(Object.keys(ways))('%s', async (way) => {
    const { id, error } = await given(way);
    expect(error?.message).toBeTruthy();
    // Letters that are taken out come back in time: their records say that they belong there.
    await eventually(async () =>
      (await environment.drainQueue('odd.dead')).some(({ properties }) => properties.messageId === id),
    );
  });
});
