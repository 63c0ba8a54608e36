import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { z } from 'zod';
import { IsolationModule } from '#isolation';
import {
  type BatchHandler,
  type BatchResults,
  defineJob,
  type Handler,
  type JobContext,
  JobHandler,
  NonRetryableError,
  RetryAfterError,
  snooze,
} from '#jobs';
import { JobQueries } from '#records';
import { forwardedLog } from '#telemetry';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, givenWorker, type Producer } from '#testing/services';

const Insert = defineJob({
  name: 'rows.insert',
  queue: 'rows',
  payload: z.object({ row: z.string().default('ok') }),
  result: z.object({ row: z.string(), of: z.int() }),
  retry: ['100ms'],
  timeout: '1s',
});
/** Whose handler waits long for others. */
const Gather = defineJob({
  name: 'rows.gather',
  queue: 'gathering',
  payload: z.object({}),
  retry: [],
  timeout: '300ms',
});
type InsertJob = JobContext<typeof Insert>;

const calls: string[][] = [];
let intercepted = 0;
@Injectable()
class Counting implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    intercepted += context.switchToRpc().getData<unknown[]>().length > 0 ? 1 : 0;
    return next.handle();
  }
}

@JobHandler(Insert, { batch: { size: 5, within: '200ms' } })
@UseInterceptors(Counting)
class InsertHandler implements BatchHandler<typeof Insert> {
  async handle(jobs: readonly InsertJob[]): Promise<BatchResults<typeof Insert>> {
    calls.push(jobs.map(({ id }) => id));
    if (jobs.some(({ payload: { row } }) => row === 'throw')) throw new Error('the database is away');
    if (jobs.some(({ payload: { row } }) => row === 'wait')) {
      const aborted = jobs.map(({ signal }) => new Promise((end) => signal.addEventListener('abort', end)));
      await Promise.all(aborted);
      throw new Error('aborted');
    }
    const results = new Map<string, z.input<typeof Insert.result> | Error | ReturnType<typeof snooze>>();
    for (const job of jobs) {
      const { row } = job.payload;
      if (row !== 'missing') results.set(job.id, this.resultOf(job, jobs.length));
    }
    return results;
  }

  private resultOf({ attempt, payload: { row } }: InsertJob, of: number) {
    if (row === 'fails once' && attempt === 1) return new Error('a row was locked');
    if (row === 'for good') return new NonRetryableError('a row exists');
    if (row === 'later' && attempt === 1) return new RetryAfterError('200ms');
    if (row === 'misfit') return { row: 7 as never, of };
    if (row === 'snooze' && of > 1) return snooze('100ms');
    return { row, of };
  }
}

@JobHandler(Gather, { batch: { size: 3, within: '1h' } })
class GatherHandler implements BatchHandler<typeof Gather> {
  handle(jobs: readonly JobContext<typeof Gather>[]) {
    calls.push(jobs.map(({ id }) => id));
    return new Map(jobs.map(({ id }) => [id, null]));
  }
}

let environment: Environment;
let producer: Producer;
let close = async () => {};
const contracts = [Insert, Gather];
const logged: Record<string, unknown>[] = [];
const log = forwardedLog('info', (line) => logged.push(JSON.parse(line)));
const ended = (id: string) =>
  eventually(async () => {
    const job = await producer.app.get(JobQueries).find(id);
    return job?.finishedAt ? job : undefined;
  });
const insert = async (...rows: string[]) => {
  const jobs = await producer.jobs.enqueueMany(
    Insert,
    rows.map((row) => ({ row })),
  );
  return Promise.all(jobs.map(({ id }) => ended(id)));
};

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({
    contracts,
    handlers: [InsertHandler, GatherHandler],
    providers: [Counting],
    log,
  }));
});
afterAll(() => close());

test('many jobs are handled in one call, no more than its size, and each has its own result', async () => {
  const jobs = await insert(...Array<string>(12).fill('ok'));
  expect(jobs.map(({ state }) => state)).toEqual(Array(12).fill('succeeded'));
  expect(calls.flat().sort()).toEqual(jobs.map(({ id }) => id).sort());
  expect(Math.max(...calls.map(({ length }) => length))).toBe(5);
  expect(calls.length).toBeLessThan(12);
  for (const { id, result } of jobs)
    expect(result).toEqual({ row: 'ok', of: calls.find((ids) => ids.includes(id))!.length });
  expect(intercepted).toBe(calls.length);
});

test('P5: each job ends on its own: those that succeed are not tried again with those that fail', async () => {
  const [ok, once, good, missing, later, misfit] = await insert(
    ...['ok', 'fails once', 'for good', 'missing', 'later', 'misfit'],
  );
  expect(ok).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect(once).toMatchObject({ state: 'succeeded', attempt: 2 });
  expect(once!.attempts[0]).toMatchObject({ outcome: 'failed', error: { message: 'a row was locked' } });
  expect(good).toMatchObject({ state: 'dead', attempt: 1, error: { class: 'NonRetryableError' } });
  expect(missing).toMatchObject({ state: 'dead', attempt: 2 });
  expect(missing!.error!.message).toContain('neither a result nor an error for this job');
  expect(later).toMatchObject({ state: 'succeeded', attempt: 2 });
  expect(misfit).toMatchObject({ state: 'dead', attempt: 1, error: { class: 'ContractViolationError' } });
});

test('a call that throws has failed for all of its jobs; one that snoozes a job uses up none of its attempts', async () => {
  const thrown = await insert('throw', 'throw', 'throw');
  for (const job of thrown)
    expect(job).toMatchObject({ state: 'dead', attempt: 2, error: { message: 'the database is away' } });
  const [snoozed] = await insert('snooze', 'ok');
  expect(snoozed).toMatchObject({ state: 'succeeded', attempt: 1, attempts: [{ outcome: 'succeeded' }] });
});

test('P9: the timeout is that of the call', async () => {
  for (const job of await insert('wait', 'ok'))
    expect(job).toMatchObject({ attempts: [{ outcome: 'failed', error: { class: 'JobTimeoutError' } }, {}] });
});

test('P10: a job that waits for others is cancelled at once, and is in no call; its time has not begun', async () => {
  const first = await producer.jobs.enqueue(Gather, {});
  const second = await producer.jobs.enqueue(Gather, {});
  await eventually(async () => {
    const rows = await environment.sql(`select from jobs where name = 'rows.gather' and state = 'running'`);
    return rows.length === 2;
  });
  await producer.jobs.cancel(first.id);
  expect(await ended(first.id)).toMatchObject({ state: 'cancelled' });
  // Longer than one attempt may take.
  await eventually(async () => {
    const [row] = await environment.sql<{ isOld: boolean }>(
      `select now() - started_at > interval '1 second' as "isOld" from jobs where id = $1`,
      [second.id],
    );
    return row?.isOld;
  });
  const others = await producer.jobs.enqueueMany(Gather, [{}, {}]);
  const ids = [second, ...others].map(({ id }) => id);
  for (const id of ids) expect(await ended(id)).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect(calls.at(-1)!.toSorted()).toEqual(ids.toSorted());
});

test('what cannot be is told when the worker starts', async () => {
  const start = (handler: Parameters<typeof givenWorker>[1]['handlers'], settings = {}) =>
    givenWorker(environment, {
      ...{ contracts, handlers: handler, log, providers: [Counting], settings },
      imports: [IsolationModule.forRoot({ entry: 'none.js' })],
    });
  const given = (options: object) => {
    @JobHandler(Insert, { batch: { size: 5, within: '1s' }, ...options })
    class OddHandler implements BatchHandler<typeof Insert> {
      handle() {
        return new Map();
      }
    }
    return [OddHandler];
  };
  await expect(start(given({ isolated: true }))).rejects.toThrow(
    'OddHandler is isolated, and takes many jobs',
  );
  await expect(start(given({ batch: { size: 0, within: '1s' } }))).rejects.toThrow(
    'size must be a whole number',
  );
  await expect(start(given({ batch: { size: 5, within: 'soon' } }))).rejects.toThrow('batch: within: "soon"');
  const warn = jest.spyOn(Logger.prototype, 'warn');
  const worker = await start(given({ batch: { size: 100, within: '1s' } }));
  await worker.close();
  const said = 'rows.insert takes 100 jobs in one call, and this worker runs 20 of queue "rows" at once';
  expect(warn).toHaveBeenCalledWith(
    expect.stringContaining(`${said}: set WORKER_PREFETCH to rows=100 or more`),
  );
  warn.mockRestore();
});

test('TypeScript knows what a handler of many jobs takes and returns', () => {
  const classes = () => {
    // @ts-expect-error it takes one job
    @JobHandler(Insert, { batch: { size: 5, within: '1s' } })
    class One implements Handler<typeof Insert> {
      handle({ payload: { row } }: InsertJob) {
        return { row, of: 1 };
      }
    }
    // @ts-expect-error it takes many
    @JobHandler(Insert)
    class Many implements BatchHandler<typeof Insert> {
      handle(jobs: readonly InsertJob[]) {
        return new Map(jobs.map(({ id }) => [id, { row: id, of: 1 }]));
      }
    }
    return [One, Many];
  };
  expect(classes).toBeInstanceOf(Function);
});
