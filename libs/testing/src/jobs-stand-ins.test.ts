import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  Module,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { map } from 'rxjs';
import { z } from 'zod';
import {
  ContractViolationError,
  defineJob,
  type Handler,
  IdempotencyConflictError,
  type JobContext,
  JobHandler,
  Jobs,
  job,
  NonRetryableError,
  nextJob,
  snooze,
} from '#jobs';
import { InlineJobs } from './inline-jobs.js';
import { RecordingJobs } from './recording-jobs.js';

const Add = defineJob({
  name: 'sum.add',
  queue: 'sum',
  payload: z.object({ a: z.number(), b: z.number().default(1) }),
  result: z.object({ sum: z.number() }),
  retry: ['1h', '2h'],
});
const Tell = defineJob({ name: 'sum.tell', queue: 'telling', payload: z.object({ to: z.string() }) });
const contracts = { Add, Tell };

@Injectable()
class Sums {
  constructor(private readonly jobs: Jobs) {}

  add(a: number) {
    return this.jobs.enqueue(Add, { a }, { delay: '10m', next: nextJob(Tell, { to: 'ada' }) });
  }
}

describe('RecordingJobs', () => {
  const jobs = new RecordingJobs(contracts);
  afterEach(() => jobs.clear());

  test('takes the place of Jobs and keeps what is enqueued', async () => {
    const module = await Test.createTestingModule({
      providers: [Sums, { provide: Jobs, useValue: jobs }],
    }).compile();
    const job = await module.get(Sums).add(2);
    expect(job).toMatchObject({
      isNew: true,
      name: 'sum.add',
      state: 'scheduled',
      attempt: 0,
      maxAttempts: 3,
    });
    expect(jobs.enqueued(Add)).toMatchObject([
      { id: job.id, payload: { a: 2 }, delayMs: 600_000, next: { name: 'sum.tell', payload: { to: 'ada' } } },
    ]);
    // It follows only when the first has succeeded.
    expect(jobs.enqueued(Tell)).toEqual([]);
    expect((await jobs.find(job.id))?.next).toEqual(expect.any(String));
  });

  test('refuses what the real one refuses', async () => {
    await expect(jobs.enqueue(Add, { a: 'two' as never })).rejects.toThrow(ContractViolationError);
    await expect(jobs.enqueue(Add, { a: 2 }, { priority: 'high' })).rejects.toThrow('has no priorities');
    await expect(jobs.enqueueMany(Add, [{ a: 2 }, { a: null as never }])).rejects.toThrow('/payload/a');
    expect(() => jobs.contract('sum.subtract')).toThrow('No contract is named "sum.subtract"');
    expect(jobs.enqueued()).toEqual([]);
  });

  test('keys make one job', async () => {
    const first = await jobs.enqueue(Add, { a: 1 }, { idempotencyKey: 'k' });
    expect(await jobs.enqueue(Add, { a: 1 }, { idempotencyKey: 'k' })).toMatchObject({
      id: first.id,
      isNew: false,
    });
    await expect(jobs.enqueue(Add, { a: 2 }, { idempotencyKey: 'k' })).rejects.toThrow(
      IdempotencyConflictError,
    );
    await jobs.enqueue(Tell, { to: 'ada' }, { unique: { key: 'ada' } });
    expect((await jobs.enqueue(Tell, { to: 'eve' }, { unique: { key: 'ada' } })).isNew).toBe(false);
    expect(jobs.enqueued()).toHaveLength(2);
  });
});

describe('InlineJobs', () => {
  let told: unknown[];
  beforeEach(() => {
    told = [];
  });
  const tell: Handler<typeof Tell> = {
    handle: ({ payload, previous }) => void told.push([payload.to, previous?.result]),
  };

  test('runs a job to its end, and the one that follows, without waiting', async () => {
    const add: Handler<typeof Add> = {
      handle: ({ attempt, payload: { a, b } }) => {
        if (attempt < 3) throw new Error(`attempt ${attempt}`);
        return { sum: a + b };
      },
    };
    const jobs = new InlineJobs(contracts).handle(Add, add).handle(Tell, tell);
    const { id } = await new Sums(jobs).add(2);
    expect(await jobs.find(id)).toMatchObject({
      state: 'succeeded',
      attempt: 3,
      result: { sum: 3 },
      error: null,
    });
    expect((await jobs.find(id))?.attempts.map(({ error }) => error?.message)).toEqual([
      'attempt 1',
      'attempt 2',
    ]);
    expect(told).toEqual([['ada', { sum: 3 }]]);
  });

  test('a job that fails for good is dead, and nothing follows it', async () => {
    const add = { handle: () => Promise.reject(new NonRetryableError('no sums today')) };
    const jobs = new InlineJobs(contracts).handle(Add, add).handle(Tell, tell);
    const { id } = await new Sums(jobs).add(2);
    expect(await jobs.find(id)).toMatchObject({
      state: 'dead',
      attempt: 1,
      error: { message: 'no sums today' },
    });
    expect(told).toEqual([]);
  });

  test('the job that onDead names runs, too', async () => {
    const Doomed = defineJob({
      ...{ name: 'sum.doomed', queue: 'sum', payload: z.unknown(), retry: [] },
      onDead: ({ error }) => job(Tell, { to: error.message }),
    });
    const doomed = { handle: () => Promise.reject(new Error('ada')) };
    const jobs = new InlineJobs({ Doomed, Tell }).handle(Doomed, doomed).handle(Tell, tell);
    await jobs.enqueue(Doomed, {});
    expect(told).toEqual([['ada', undefined]]);
  });

  test('a job without a handler is dead, as it would be', async () => {
    const jobs = new InlineJobs(contracts);
    const { id } = await jobs.enqueue(Add, { a: 1 });
    expect(await jobs.find(id)).toMatchObject({ state: 'dead', error: { class: 'NoHandlerError' } });
  });

  test('a handler may enqueue jobs, and snooze', async () => {
    let looks = 0;
    const jobs: InlineJobs = new InlineJobs(contracts).handle(Tell, tell).handle(Add, {
      handle: async ({ payload: { a } }) => {
        if (++looks < 3) return snooze('1h');
        await jobs.enqueueMany(Tell, [{ to: 'ada' }, { to: 'eve' }]);
        return { sum: a };
      },
    });
    const { id } = await jobs.enqueue(Add, { a: 5 });
    expect(await jobs.find(id)).toMatchObject({ state: 'succeeded', attempt: 1, attempts: [] });
    expect(told).toEqual([
      ['ada', undefined],
      ['eve', undefined],
    ]);
  });

  test('a job that waits for ever is an error', async () => {
    const jobs = new InlineJobs(contracts).handle(Add, { handle: () => snooze('1h') });
    await expect(jobs.enqueue(Add, { a: 1 })).rejects.toThrow('what does it wait for?');
  });

  test('in an application, Nest makes the handlers and wraps them', async () => {
    @Injectable()
    class Doubling implements NestInterceptor {
      intercept(_: ExecutionContext, next: CallHandler) {
        return next.handle().pipe(map(({ sum }) => ({ sum: 2 * sum })));
      }
    }
    @JobHandler(Add, { isolated: true })
    @UseInterceptors(Doubling)
    class AddHandler implements Handler<typeof Add> {
      handle({ payload: { a, b } }: JobContext<typeof Add>) {
        return { sum: a + b };
      }
    }
    const jobs = new InlineJobs(contracts).handle(Tell, tell);
    @Module({ controllers: [AddHandler], providers: [Sums, Doubling, { provide: Jobs, useValue: jobs }] })
    class AppModule {}
    const app = await NestFactory.createMicroservice(AppModule, { strategy: jobs.server, logger: false });
    await app.listen();
    const { id } = await app.get(Sums).add(20);
    expect(await jobs.find(id)).toMatchObject({ state: 'succeeded', result: { sum: 42 } });
    expect(told).toEqual([['ada', { sum: 42 }]]);
    await app.close();
  });
});
