import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  defineJob,
  exponential,
  type Handler,
  type JobContext,
  JobHandler,
  job,
  NonRetryableError,
  nextJob,
  RetryAfterError,
} from '#jobs';
import { type AttemptView, JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Fail = defineJob({
  name: 'fail.always',
  queue: 'fail',
  payload: z.object({
    how: z.enum([
      'plainly',
      'for good',
      'later',
      'with a result that does not fit',
      'twice',
      'with a nasty error',
      'too slowly',
    ]),
  }),
  result: z.object({ fine: z.literal(true) }),
  retry: ['300ms', '1s'],
  timeout: '500ms',
});

/** Whose delays have no queues of their own. */
const Grow = defineJob({
  name: 'grow.always',
  queue: 'grow',
  payload: z.unknown(),
  retry: exponential({ attempts: 3, first: '200ms', factor: 3, jitter: 0.5 }),
});
const Choose = defineJob({
  name: 'choose.delay',
  queue: 'grow',
  payload: z.enum(['busy', 'throw', 'promise', 'nonsense']),
  retry: {
    attempts: 2,
    delay: (attempt, { name, message }) => {
      if (message === 'throw') throw new Error('no delay today');
      if (message === 'promise') return Promise.reject(new Error('nobody waits for this')) as never;
      return name === 'QuotaError' && message === 'busy' ? attempt * 300 : ('soon' as never);
    },
  },
});

class QuotaError extends Error {
  override readonly name = 'QuotaError';
}

@JobHandler(Fail)
class FailHandler implements Handler<typeof Fail> {
  async handle({ payload, attempt, signal }: JobContext<typeof Fail>): Promise<{ fine: true }> {
    switch (payload.how) {
      case 'plainly':
        throw new QuotaError(`attempt ${attempt} met amqp://user:secret@broker:5672/x`);
      case 'for good':
        throw new NonRetryableError('the account is closed');
      case 'later':
        if (attempt === 1) throw new RetryAfterError('1500ms', 'come back later');
        return { fine: true };
      case 'with a result that does not fit':
        return { fine: false } as never;
      case 'twice':
        if (attempt < 3) throw new Error('not yet');
        return { fine: true };
      case 'with a nasty error':
        throw Object.assign(new Error(`\0\uD800${'x'.repeat(20_000)}`), { stack: 'é'.repeat(20_000) });
      case 'too slowly':
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('aborted'))),
        );
    }
  }
}

@JobHandler(Grow)
class GrowHandler implements Handler<typeof Grow> {
  handle(): never {
    throw new Error('no');
  }
}

@JobHandler(Choose)
class ChooseHandler implements Handler<typeof Choose> {
  handle({ payload }: JobContext<typeof Choose>): never {
    throw new QuotaError(payload);
  }
}

let environment: Environment;
let producer: Producer;
let close = async () => {};
const contracts = [Fail, Grow, Choose];
const handlers = [FailHandler, GrowHandler, ChooseHandler];
const enqueue = (how: z.input<typeof Fail.payload>['how']) => producer.jobs.enqueue(Fail, { how });
const ended = (id: string) =>
  eventually(async () => {
    const job = await producer.app.get(JobQueries).find(id);
    return job?.finishedAt && job;
  });

/** Milliseconds from the end of one attempt to the start of the next, by the database's clock. */
const between = (one: AttemptView, next: AttemptView) =>
  new Date(next.startedAt!).getTime() - new Date(one.finishedAt!).getTime();

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({ contracts, handlers }));
});
afterAll(() => close());

test("P5: a failing job is tried again after its contract's delays, then dead-letters, with every error in its record", async () => {
  const { id } = await enqueue('plainly');
  const job = await ended(id);

  expect(job).toMatchObject({ state: 'dead', attempt: 3, maxAttempts: 3, result: null });
  expect(job.attempts).toHaveLength(3);
  job.attempts.forEach((attempt, index) => {
    expect(attempt).toMatchObject({
      attempt: index + 1,
      outcome: 'failed',
      worker: expect.stringContaining(String(process.pid)),
      error: { class: 'QuotaError', message: `attempt ${index + 1} met amqp://***@broker:5672/x` },
    });
    expect(attempt.error?.stack).toContain('p5-retries.test');
    expect(attempt.error?.stack).not.toContain('secret');
  });
  // Never sooner than the contract says; how much later depends on the machine.
  const gap = (index: number) => between(job.attempts[index - 1]!, job.attempts[index]!);
  expect(gap(1)).toBeGreaterThanOrEqual(300);
  expect(gap(2)).toBeGreaterThanOrEqual(1_000);

  const [letter, ...more] = await eventually(async () => {
    const letters = await environment.drainQueue('fail.dead');
    return letters.length > 0 ? letters : undefined;
  });
  expect(more).toEqual([]);
  expect(letter).toMatchObject({
    content: '{"how":"plainly"}',
    properties: { messageId: id, type: 'fail.always', contentType: 'application/json' },
    headers: { 'x-attempt': 3, 'x-dead-reason': 'attempt 3 met amqp://***@broker:5672/x' },
  });
});

test('P5: a job that fails twice and then works has succeeded on its third attempt', async () => {
  const job = await ended((await enqueue('twice')).id);
  expect(job).toMatchObject({ state: 'succeeded', attempt: 3, error: null, result: { fine: true } });
  expect(job.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'succeeded']);
});

test('P5: delays that grow are kept by the record: the broker has no queues for them', async () => {
  const job = await ended((await producer.jobs.enqueue(Grow, {})).id);
  expect(job).toMatchObject({ state: 'dead', attempt: 3, maxAttempts: 3 });
  const [first, second, third] = job.attempts;
  expect(between(first!, second!)).toBeGreaterThanOrEqual(100);
  expect(between(second!, third!)).toBeGreaterThanOrEqual(300);
  const queues = await environment.management<{ name: string }[]>('GET', '/queues/{vhost}');
  const ofRetries = queues.map(({ name }) => name).filter((name) => name.startsWith('jobs.retry.'));
  expect(ofRetries.sort()).toEqual(['jobs.retry.1s', 'jobs.retry.300ms']);
});

test('P5: a function of the contract chooses the delay; where it gives none the job waits for a minute', async () => {
  const chosen = await ended((await producer.jobs.enqueue(Choose, 'busy')).id);
  expect(chosen).toMatchObject({ state: 'dead', attempt: 2, maxAttempts: 2 });
  expect(between(chosen.attempts[0]!, chosen.attempts[1]!)).toBeGreaterThanOrEqual(300);
  for (const how of ['throw', 'promise', 'nonsense'] as const) {
    const { id } = await producer.jobs.enqueue(Choose, how);
    const job = await eventually(async () => {
      const job = await producer.app.get(JobQueries).find(id);
      return job?.state === 'retrying' ? job : undefined;
    });
    expect(job).toMatchObject({ attempt: 1, waitingFor: { what: 'retry' }, error: { message: how } });
    const finishedAt = new Date(job.attempts[0]!.finishedAt!).getTime();
    expect(job.runAt.getTime() - finishedAt).toBe(60_000);
  }
});

test('P5: the retry of a single job is in place of its contract’s, with or without queues for its delays', async () => {
  const payload = { how: 'plainly' } as const;
  const listed = await producer.jobs.enqueue(Fail, payload, { retry: ['300ms', '200ms', '100ms'] });
  const grown = await producer.jobs.enqueue(Fail, payload, {
    retry: exponential({ attempts: 2, first: '100ms' }),
  });
  const [once] = await producer.jobs.enqueueAll([job(Fail, payload, { retry: [] })]);
  expect([listed.maxAttempts, grown.maxAttempts]).toEqual([4, 2]);
  const done = await ended(listed.id);
  expect(done).toMatchObject({ state: 'dead', attempt: 4, maxAttempts: 4 });
  const gap = (index: number) => between(done.attempts[index - 1]!, done.attempts[index]!);
  expect(gap(1)).toBeGreaterThanOrEqual(300);
  expect(gap(2)).toBeGreaterThanOrEqual(200);
  expect(await ended(grown.id)).toMatchObject({ state: 'dead', attempt: 2, maxAttempts: 2 });
  expect(await ended(once!.id)).toMatchObject({ state: 'dead', attempt: 1, maxAttempts: 1 });
});

test('P5: the job that follows has a retry and a timeout of its own', async () => {
  const next = nextJob(Fail, { how: 'too slowly' }, { retry: ['100ms'], timeout: '150ms' });
  const { next: id } = await producer.jobs.enqueue(Fail, { how: 'twice' }, { next });
  await eventually(() => producer.app.get(JobQueries).find(id!));
  expect(await ended(id!)).toMatchObject({
    ...{ state: 'dead', attempt: 2, maxAttempts: 2 },
    error: { class: 'JobTimeoutError', message: 'The attempt took longer than its timeout of 150ms' },
  });
});

test('NonRetryableError dead-letters at once', async () => {
  const job = await ended((await enqueue('for good')).id);
  expect(job).toMatchObject({
    state: 'dead',
    attempt: 1,
    error: { class: 'NonRetryableError', message: 'the account is closed' },
  });
});

test('RetryAfterError chooses the delay, and counts as an attempt', async () => {
  const job = await ended((await enqueue('later')).id);
  expect(job).toMatchObject({ state: 'succeeded', attempt: 2 });
  const [first, second] = job.attempts;
  expect(between(first!, second!)).toBeGreaterThanOrEqual(1_500);
});

test('a result that does not fit its contract is not tried again', async () => {
  const job = await ended((await enqueue('with a result that does not fit')).id);
  expect(job).toMatchObject({ state: 'dead', attempt: 1, error: { class: 'ContractViolationError' } });
  expect(job.error?.message).toContain('/result/fine');
});

test('an error with NUL, half a surrogate pair and 40 KB of stack is kept, cut to 8 KiB', async () => {
  const job = await ended((await enqueue('with a nasty error')).id);
  expect(job.state).toBe('dead');
  expect(job.error?.message).toMatch(/^\uFFFD\uFFFDx+$/);
  expect(Buffer.byteLength(job.error!.stack!)).toBeLessThanOrEqual(8_192);
});

test('P9: an attempt past its time-out is aborted by its signal and counts as failed', async () => {
  const job = await ended((await enqueue('too slowly')).id);
  expect(job).toMatchObject({ state: 'dead', attempt: 3, error: { class: 'JobTimeoutError' } });
});
