import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import {
  type BatchHandler,
  defineJob,
  encrypted,
  type Handler,
  type JobContext,
  JobHandler,
  JobLogs,
  Jobs,
  secret,
} from '#jobs';
import { JobLogStore, type LogLine } from '#records';
import { forwardedLog } from '#telemetry';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';

const Talk = defineJob({
  name: 'talk.much',
  queue: 'talk',
  payload: z.object({ how: z.string(), card: secret(z.string()), iban: encrypted(z.string()) }),
  result: z.unknown(),
  retry: ['100ms'],
});
const Chorus = defineJob({
  name: 'talk.chorus',
  queue: 'chorus',
  payload: z.object({}),
  result: z.unknown(),
});

/** Goes on when the test says so. */
let goOn = () => {};
const held = () => new Promise<void>((resolve) => (goOn = resolve));

const ways: Record<string, (job: JobContext<typeof Talk>) => unknown> = {
  nothing: ({ log }) => log.debug('less than info'),
  levels: ({ log, attempt }) => {
    log.info({ rows: 3, name: 'a name of its own', attempt: 'one' }, 'begun');
    log.child({ part: 'second' }).warn('half \0 way \ud800');
    log.debug('not kept');
    if (attempt === 1) {
      log.error(new RangeError('too far'));
      throw new Error('once more');
    }
  },
  secrets: ({ log, payload: { card, iban } }) =>
    log.info(
      { authorization: 'Bearer x', payload: { a: 1 }, deep: [{ apiKey: 'x', card }] },
      `${card} ${iban}`,
    ),
  'many lines': ({ log }) => {
    for (let line = 1; line <= 1_200; line++) log.info(`line ${line}`);
  },
  'many bytes': ({ log }) => {
    log.info('x'.repeat(70_000));
    for (let line = 1; line <= 8; line++) log.info(`${line} ${'é'.repeat(5_000)}`);
    log.info('short');
  },
  odd: ({ log }) => {
    log.info({});
    log.info('');
    log.info({ msg: { of: 'an object' } });
    log.info(
      { time: 7, level: 'mine', pid: 'p', __proto__x: 1, big: 7n, none: undefined },
      '%s of %d',
      'a',
      2,
    );
    log.info({ text: 'a\0b\ud800' }, 'odd text');
  },
  held: async ({ log }) => {
    log.info('before');
    await held();
    log.info('after');
  },
};

@JobHandler(Talk)
class TalkHandler implements Handler<typeof Talk> {
  handle(job: JobContext<typeof Talk>) {
    return ways[job.payload.how]?.(job);
  }
}
@JobHandler(Chorus, { batch: { size: 2, within: '5s' } })
class ChorusHandler implements BatchHandler<typeof Chorus> {
  handle(jobs: readonly JobContext<typeof Chorus>[]) {
    for (const [index, { log }] of jobs.entries()) log.info({ index }, 'sung');
    return new Map(jobs.map(({ id }) => [id, null]));
  }
}

const contracts = [Talk, Chorus];
let environment: Environment;
let proxy: TcpProxy;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let worker: Awaited<ReturnType<typeof givenWorker>>;
const written: string[] = [];
const settings = { ENCRYPTION_KEYS: [{ id: 'key', key: Buffer.alloc(32, 1) }] };

beforeAll(async () => {
  environment = await givenEnvironment(contracts);
  proxy = await givenProxy(environment.databaseUrl);
  producer = await givenProducer(environment, { contracts, settings });
  worker = await givenWorker(
    { ...environment, databaseUrl: proxy.url },
    {
      ...{ contracts, handlers: [TalkHandler, ChorusHandler] },
      settings: { ...settings, DATABASE_URL: proxy.url },
      log: forwardedLog('debug', (line) => written.push(line)),
    },
  );
});
afterAll(async () => {
  goOn();
  await worker?.close();
  await producer?.close();
  await proxy?.close();
  await environment?.close();
});

const enqueue = async (how: string) =>
  (await producer.jobs.enqueue(Talk, { how, card: 'card-1234', iban: 'iban-5678' })).id;
const logOf = (id: string, options = {}) => producer.app.get(JobLogStore).of(id, options);
/** The log of a job, once it has so many lines. */
const log = (id: string, lines: number) =>
  eventually(async () => {
    const found = await logOf(id);
    return found.length >= lines ? found : undefined;
  });
const said = (lines: readonly LogLine[]) => lines.map(({ message }) => message);
const isOver = (id: string) =>
  eventually(async () => {
    const job = await producer.app.get(Jobs).find(id);
    return job?.finishedAt ? job : undefined;
  });

test('lines of info and above are kept, by attempt, with their fields and without those of every line', async () => {
  const id = await enqueue('levels');
  const lines = await log(id, 5);
  expect(lines).toMatchObject([
    { attempt: 1, level: 'info', message: 'begun' },
    { attempt: 1, level: 'warn', message: 'half  way \ufffd', fields: { part: 'second' } },
    { attempt: 1, level: 'error', message: 'too far', fields: { err: { type: 'RangeError' } } },
    { attempt: 2, level: 'info', message: 'begun' },
    { attempt: 2, level: 'warn' },
  ]);
  expect(lines[0]?.fields).toEqual({ rows: 3, name: 'a name of its own', attempt: 'one' });
  expect(await logOf(id, { attempt: 2 })).toEqual(lines.slice(3));
  expect(await logOf(id, { limit: 1 })).toEqual(lines.slice(4));
  const { startedAt, finishedAt } = await isOver(id);
  const times = lines.slice(3).map(({ at }) => at.getTime());
  expect(Math.min(...times)).toBeGreaterThan(startedAt!.getTime() - 500);
  expect(Math.max(...times)).toBeLessThan(finishedAt!.getTime() + 500);
});

test('a job that logs nothing of info or above writes no row', async () => {
  const id = await enqueue('nothing');
  await isOver(id);
  // What comes after it has been written: so would its own lines.
  await log(await enqueue('levels'), 5);
  expect(await logOf(id)).toEqual([]);
});

test('what is redacted in a log is redacted here: keys, payloads, and what the contract marks', async () => {
  const [line] = await log(await enqueue('secrets'), 1);
  expect(line).toMatchObject({
    message: '[redacted] [redacted]',
    fields: {
      authorization: '[redacted]',
      payload: '[redacted]',
      deep: [{ apiKey: '[redacted]', card: '[redacted]' }],
    },
  });
});

test('of an attempt 200 lines are kept, and then one that says how many are missing', async () => {
  const id = await enqueue('many lines');
  const lines = await log(id, 201);
  expect(said(lines).slice(0, 200)).toEqual(Array.from({ length: 200 }, (_, index) => `line ${index + 1}`));
  expect(lines.slice(200)).toMatchObject([
    { level: 'warn', message: expect.stringMatching(/^Lines that are missing here: 1000\./) },
  ]);
  // All of them are in the worker's own log.
  expect(written.filter((line) => line.includes(id) && line.includes('"line ')).length).toBe(1_200);
});

test('of an attempt 64 KiB are kept; a line that does not fit keeps no shorter one out', async () => {
  const lines = await log(await enqueue('many bytes'), 8);
  expect(said(lines).map((message) => message.slice(0, 5))).toEqual([
    ...[1, 2, 3, 4, 5, 6].map((line) => `${line} ééé`),
    'short',
    'Lines',
  ]);
  expect(lines.at(-1)?.message).toContain('here: 3.');
});

test('a line is kept whatever it holds', async () => {
  const lines = await log(await enqueue('odd'), 5);
  expect(lines.map(({ message, fields }) => [message, fields])).toEqual([
    ['', {}],
    ['', {}],
    ['{"of":"an object"}', {}],
    ['a of 2', { time: 7, level: 'mine', pid: 'p', __proto__x: 1, big: 7 }],
    ['odd text', { text: expect.any(String) }],
  ]);
});

test('each job of a batch handler has its own log', async () => {
  const jobs = await producer.jobs.enqueueMany(Chorus, [{}, {}]);
  const logs = await Promise.all(jobs.map(async ({ id }) => (await log(id, 1))[0]!.fields.index));
  expect(logs.sort()).toEqual([0, 1]);
});

test('while the database is away lines wait, fail no job, and are bounded: then the last line says so', async () => {
  const id = await enqueue('held');
  await log(id, 1);
  const add = jest.spyOn(worker.get(JobLogStore), 'add');
  proxy.cut();
  goOn();
  // Of as many attempts as never run at once.
  const [logs, others] = [worker.get(JobLogs), Array.from({ length: 200 }, () => randomUUID())];
  for (const job of others)
    logs.keeperOf({ job, claim: 1, attempt: 1 })('warn', JSON.stringify({ msg: 'y'.repeat(60_000) }));
  await eventually(async () => {
    const outcomes = await Promise.allSettled(add.mock.results.map(({ value }) => value));
    return outcomes.some(({ status }) => status === 'rejected');
  });
  proxy.mend();
  expect(said(await log(id, 2))).toEqual(['before', 'after']);
  expect(await isOver(id)).toMatchObject({ state: 'succeeded', attempt: 1 });
  const firsts = await Promise.all(others.map((job) => log(job, 1)));
  const kept = firsts.filter(([first]) => first?.message.startsWith('yyy')).length;
  expect(kept).toBeLessThanOrEqual((8 * 1024 * 1024) / 60_000);
  expect(kept).toBeGreaterThan(100);
  expect(said(firsts.at(-1)!)).toEqual([expect.stringContaining('missing here: 1.')]);
});

test('a worker that stops writes what was logged before', async () => {
  const id = await enqueue('held');
  await log(id, 1);
  goOn();
  await worker.close();
  expect(said(await logOf(id))).toEqual(['before', 'after']);
});
