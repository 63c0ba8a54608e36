import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { connect } from 'amqplib';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import type { Settings } from '#config';
import * as contracts from '#contracts';
import {
  type AnyContract,
  Contracts,
  defineJob,
  type Handler,
  type JobContext,
  JobHandler,
  nextJob,
} from '#jobs';
import { DeadJobStore, JobQueries, JobStore, type JobView, OutboxStore, QueueStore } from '#records';
import { eventually } from '#testing';
import {
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
  givenWorker,
  type Producer,
} from '#testing/services';
import { givenProxy } from '../support/proxy.js';

/** Workers and producers of several versions of the same code, beside each other and one after the other. */

const queue = 'invoices';
const retry = ['200ms'] as const;
const RenderV1 = defineJob({
  ...{ name: 'invoice.render', queue, retry, result: z.object({ file: z.string() }) },
  payload: z.object({ title: z.string(), failures: z.int().default(0) }),
});
const RenderV3 = defineJob({
  ...{ name: 'invoice.render', queue, retry, result: z.object({ path: z.string(), lines: z.int() }) },
  payload: z.object({ subject: z.string(), lines: z.int(), failures: z.int().default(0) }),
  version: 3,
  upgrade: {
    1: ({ title, ...old }: { title: string; failures?: number }) => ({ ...old, subject: title }),
    2: (old) => ({ ...old, lines: old.subject.length }),
  },
  upgradeResult: { 1: ({ file }) => ({ path: file }), 2: (old) => ({ ...old, lines: 0 }) },
});
const Send = defineJob({ name: 'invoice.send', queue: 'mails', payload: z.object({}), retry: [] });
const Print = defineJob({ name: 'bill.print', queue, payload: z.object({ title: z.string() }), retry });
const PrintInvoice = defineJob({
  ...{ name: 'invoice.print', queue, payload: RenderV3.payload, retry, renamedFrom: 'bill.print' },
  ...{ version: 3, upgrade: RenderV3.upgrade },
});

const defineBroken = (name: string, step: (old: { title: string }) => never) =>
  defineJob({ ...{ name, queue, payload: Print.payload, retry }, version: 2, upgrade: { 1: step } });
const broken: AnyContract[] = [
  defineBroken('step.throws', ({ title }) => {
    throw new Error(`no ${title}`);
  }),
  defineBroken('step.waits', (async () => Promise.reject(new Error('late'))) as never),
  defineBroken('step.misfit', (() => ({ title: 5 })) as never),
];

/** A handler that does what a function says. */
function handlerOf<C extends AnyContract>(contract: C, handle: Handler<C>['handle']): Type {
  @JobHandler(contract)
  class TestHandler implements Handler<C> {
    handle(job: JobContext<C>) {
      return handle(job);
    }
  }
  return TestHandler;
}
/** What handlers of the newest contracts were given, by attempt. */
const given: Pick<JobContext, 'id' | 'name' | 'attempt' | 'payload'>[] = [];
const noted = <C extends typeof RenderV3>({ id, name, attempt, payload }: JobContext<C>) => {
  given.push({ id, name, attempt, payload });
  if (attempt <= payload.failures) throw new Error('as asked');
  return { path: payload.subject, lines: payload.lines };
};
const givenTo = (id: string) => given.filter((job) => job.id === id).map(({ id: _, ...job }) => job);

const old = {
  contracts: [RenderV1, Print],
  handlers: [handlerOf(RenderV1, ({ payload }) => ({ file: payload.title }))],
};
const newest = {
  contracts: [RenderV3, Send, PrintInvoice],
  handlers: [
    handlerOf(RenderV3, noted),
    handlerOf(PrintInvoice, noted as never),
    handlerOf(Send, ({ previous }) => ({ ...previous, result: RenderV3.result.parse(previous?.result) })),
  ],
};

/** More than a worker takes at once. */
const MANY = 500;
/** What an operator is told of a job that waits for a worker. */
const waitsFor = (known: string) => ({
  waitingFor: { what: 'worker', detail: `a worker that knows ${known}` },
});
const held = { state: 'queued', attempt: 0, attempts: [], startedAt: null };

let environment: Environment;
let producer: Producer;
const workers: Awaited<ReturnType<typeof givenWorker>>[] = [];
const startWorker = async (
  code: { contracts: readonly AnyContract[]; handlers: Type[] },
  settings: Partial<Settings> = {},
) => {
  const worker = await givenWorker(environment, { ...code, settings });
  workers.push(worker);
  return worker;
};
const find = (id: string | null) => producer.app.get(JobQueries).find(id ?? '');
const reaches = (id: string | null, expected: object): Promise<JobView> =>
  eventually(async () => {
    const job = await find(id);
    expect(job).toMatchObject(expected);
    return job;
  }, 60_000);

beforeAll(async () => {
  environment = await givenEnvironment([...newest.contracts, ...broken, ...Object.values(contracts)]);
  producer = await givenProducer(environment, newest);
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.close();
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

test('P16: a newer worker upgrades what an older producer enqueued, at each attempt, and the record keeps both', async () => {
  const { jobs } = producer;
  const title = 'x'.repeat(200_000);
  const short = await jobs.enqueue(RenderV1, { title: 'four', failures: 1 });
  const long = await jobs.enqueue(RenderV1, { title });
  const current = await jobs.enqueue(RenderV3, { subject: 'now', lines: 7 });
  expect([short.version, current.version]).toEqual([1, 3]);
  const versions = async () =>
    Object.fromEntries(
      (await environment.drainQueue(queue)).map(({ properties, headers }) => [
        properties.messageId,
        headers['x-version'],
      ]),
    );
  await eventually(async () => (await environment.countReady(queue)) === 3);
  expect(await versions()).toEqual({ [short.id]: undefined, [long.id]: undefined, [current.id]: 3 });
  await environment.sql('update jobs set publish_at = now()');

  await startWorker(newest);
  const payload = { subject: 'four', lines: 4, failures: 1 };
  const done = await reaches(short.id, { state: 'succeeded', result: { path: 'four', lines: 4 } });
  expect(done).toMatchObject({
    version: 1,
    payload: { title: 'four', failures: 1 },
    upgradedPayload: payload,
  });
  const { name } = RenderV3;
  expect(givenTo(short.id)).toEqual([
    { name, attempt: 1, payload },
    { name, attempt: 2, payload },
  ]);
  await reaches(long.id, { state: 'succeeded', result: { lines: 200_000 } });
  const { upgradedPayload, ...shown } = await reaches(current.id, { state: 'succeeded', version: 3 });
  expect([upgradedPayload, shown.payload]).toEqual([undefined, { subject: 'now', lines: 7 }]);
});

test('P16: a step that throws, or gives what does not fit, makes a dead letter at once that says which step; mended, it runs', async () => {
  const runs = (contract: AnyContract) => handlerOf(contract, () => contract.version);
  await startWorker({ contracts: broken, handlers: broken.map(runs) });
  const enqueue = (contract: AnyContract) =>
    producer.jobs.enqueue({ ...contract, version: 1 }, { title: 'a' });
  const jobs = await Promise.all(broken.map(enqueue));
  const reasons = [
    'step.throws: upgrade from version 1 to 2 threw Error: no a',
    'step.waits: upgrade from version 1 to 2 gave a promise: it must not be asynchronous',
    expect.stringMatching(
      /^step\.misfit: upgrade from version 1 to 2 gave what does not fit: .*\/payload\/title/,
    ),
  ];
  for (const [index, { id }] of jobs.entries())
    await reaches(id, {
      ...{ state: 'dead', attempt: 1, version: 1, payload: { title: 'a' } },
      error: { class: 'UpgradeError', message: reasons[index] },
    });
  await eventually(async () => (await environment.countReady('invoices.dead')) === jobs.length);

  await workers.pop()!.close();
  const mended = broken.map((contract) => ({ ...contract, version: 3, upgrade: { 1: sameOf, 2: sameOf } }));
  await startWorker({ contracts: mended, handlers: mended.map(runs) });
  expect(await producer.app.get(DeadJobStore).replay({})).toBe(jobs.length);
  for (const { id } of jobs) await reaches(id, { state: 'succeeded', attempt: 1, version: 1, result: 3 });
});
const sameOf = (old: unknown) => old;

test('P16: a message says of which version its payload is, 1 if it says nothing', async () => {
  await startWorker(newest);
  const publish = async (body: object, headers?: object) => {
    const messageId = uuid();
    await environment.publish('invoice.render', JSON.stringify(body), {
      ...{ messageId, type: 'invoice.render', headers },
    });
    return messageId;
  };
  const first = await publish({ title: 'first' });
  const second = await publish({ subject: 'second' }, { 'x-version': 2 });
  const third = await publish({ subject: 'third', lines: 3 }, { 'x-version': 3 });
  await reaches(first, { state: 'succeeded', version: 1, result: { path: 'first', lines: 5 } });
  await reaches(second, { state: 'succeeded', version: 2, result: { path: 'second', lines: 6 } });
  await reaches(third, { state: 'succeeded', version: 3, result: { path: 'third', lines: 3 } });
});

test('P16: the record tells the version of a job whose message lost it, as that of an older relay', async () => {
  const current = await producer.jobs.enqueue(RenderV3, { subject: 'now', lines: 7 });
  await eventually(async () => (await environment.drainQueue(queue)).length === 1);
  await environment.publish('invoice.render', '{"title":"not this"}', {
    ...{ messageId: current.id, type: 'invoice.render' },
  });
  await startWorker(newest);
  await reaches(current.id, { state: 'succeeded', result: { path: 'now', lines: 7 } });
});

test('P16: a result of an older worker is upgraded before the job that follows gets it', async () => {
  await startWorker(old);
  const next = nextJob(Send, {});
  const first = await producer.jobs.enqueue(RenderV1, { title: 'old' }, { next });
  await reaches(first.id, { state: 'succeeded', result: { file: 'old' } });
  await reaches(first.next, { previous: { version: 1, result: { file: 'old' } } });
  await workers.pop()!.close();
  await startWorker(newest);
  const lifted = { id: first.id, name: 'invoice.render', result: { path: 'old', lines: 0 }, version: 3 };
  await reaches(first.next, { state: 'succeeded', result: lifted });

  const second = await producer.jobs.enqueue(RenderV3, { subject: 'new', lines: 1 }, { next });
  await reaches(second.next, {
    ...{ state: 'succeeded', previous: { version: 3 } },
    result: { result: { path: 'new', lines: 1 }, version: 3 },
  });
});

test('P16: jobs of a contract that was renamed are served by the handler of the new one', async () => {
  const { id } = await producer.jobs.enqueue(Print, { title: 'bill' });
  const messageId = uuid();
  await environment.publish('bill.print', '{"title":"bills"}', { messageId, type: 'bill.print' });
  await startWorker(newest);
  await reaches(id, { state: 'succeeded', name: 'bill.print', result: { path: 'bill', lines: 4 } });
  await reaches(messageId, { state: 'succeeded', name: 'bill.print', result: { lines: 5 } });
  expect(givenTo(id)).toMatchObject([{ name: 'invoice.print', attempt: 1 }]);
  // Who still asks for the old name gets the new one.
  expect(
    await producer.jobs.enqueue(producer.jobs.contract('bill.print'), { subject: 'a', lines: 1 }),
  ).toMatchObject({
    ...{ name: 'invoice.print', version: 3 },
  });
  const before = { ...PrintInvoice, name: 'bill.print', version: 2, renamedFrom: [] };
  const enqueue = (contract: AnyContract) =>
    producer.jobs.enqueue(contract, { subject: 'a', lines: 1 }, { idempotencyKey: 'the same' });
  expect((await enqueue(before)).isNew).toBe(true);
  expect(await enqueue(PrintInvoice)).toMatchObject({ isNew: false, name: 'bill.print' });
  expect(() => new Contracts([...newest.contracts, Print])).toThrow('Two contracts are named "bill.print"');
});

test('P16, P21: an older worker holds what it does not know, and a newer one that starts later runs it at its first attempt', async () => {
  await startWorker(old);
  const api = await givenProcess('api', environment);
  try {
    await api.ready();
    const shown = async (id: string, expected: object) =>
      eventually(async () => {
        const job = await (await fetch(`${api.url}/jobs/${id}`)).json();
        expect(job).toMatchObject(expected);
        return true;
      });
    const { jobs } = producer;
    const newer = await jobs.enqueue(RenderV3, { subject: 'new', lines: 1 });
    const unknown = await jobs.enqueue(PrintInvoice, { subject: 'bill', lines: 2 });
    const known = await jobs.enqueue(RenderV1, { title: 'old' });
    // By a program that knows nothing of records.
    const [messageId, type] = [uuid(), 'invoice.print'];
    const message = { messageId, type, headers: { 'x-version': 2 } };
    await environment.publish(type, '{"subject":"bills","extra":"\\u0000"}', message);
    await shown(newer.id, { ...held, ...waitsFor('invoice.render version 3') });
    await shown(unknown.id, { ...held, ...waitsFor('invoice.print version 3') });
    await shown(messageId, { ...held, version: 2, ...waitsFor('invoice.print version 2') });
    await reaches(known.id, { state: 'succeeded', result: { file: 'old' } });
    expect(await environment.countReady(queue)).toBe(0);

    await startWorker(newest);
    await reaches(newer.id, { state: 'succeeded', attempt: 1, attempts: [{ outcome: 'succeeded' }] });
    await reaches(unknown.id, { state: 'succeeded', attempt: 1, result: { path: 'bill', lines: 2 } });
    await reaches(messageId, { state: 'succeeded', attempt: 1, result: { path: 'bills', lines: 5 } });
    for (const id of [newer.id, unknown.id, messageId]) expect(givenTo(id)).toHaveLength(1);
  } finally {
    await api.stop();
  }
});

test('P16: a retry of a worker that was rolled back waits with its attempts as they were', async () => {
  await startWorker(newest);
  const { id } = await producer.jobs.enqueue(RenderV3, { subject: 'again', lines: 1, failures: 1 });
  await reaches(id, { state: 'retrying', attempt: 1 });
  await workers.pop()!.close();
  await startWorker(old);
  await reaches(id, { state: 'queued', attempt: 1, ...waitsFor('invoice.render version 3') });
  await startWorker(newest);
  await reaches(id, { state: 'succeeded', attempt: 2, attempts: [{ outcome: 'failed' }, {}] });
});

test('P16: old and new workers beside each other run every job once, at its first attempt', async () => {
  await Promise.all([startWorker(old), startWorker(old), startWorker(newest)]);
  const payloads = Array.from({ length: 100 }, (_, lines) => ({ subject: 'side by side', lines }));
  const made = await producer.jobs.enqueueMany(RenderV3, payloads);
  const older = await producer.jobs.enqueueMany(RenderV1, [{ title: 'a' }, { title: 'b' }]);
  for (const { id } of [...made, ...older])
    await reaches(id, { state: 'succeeded', attempt: 1, attempts: [{}] });
  for (const { id } of made) expect(givenTo(id)).toHaveLength(1);
});

test('P16: a result of a newer worker waits for a worker that knows it, too', async () => {
  const newer = await startWorker({ contracts: [RenderV3], handlers: [newest.handlers[0]!] });
  const next = nextJob(Send, {});
  const first = await producer.jobs.enqueue(RenderV3, { subject: 'new', lines: 1 }, { next });
  await reaches(first.id, { state: 'succeeded' });
  await newer.close();
  await startWorker({ contracts: [RenderV1, Send], handlers: [...old.handlers, newest.handlers[2]!] });
  await reaches(first.next, { ...held, ...waitsFor('invoice.send version 1 and invoice.render version 3') });
  await startWorker(newest);
  await reaches(first.next, { state: 'succeeded', attempt: 1, result: { version: 3 } });
});

test('P16: a queue full of jobs that nobody knows holds up nobody else', async () => {
  const prefetch = { WORKER_PREFETCH: { fallback: 2, queues: new Map() } };
  const type = 'not.known';
  const connection = await connect(environment.rabbitmqUrl);
  const channel = await connection.createConfirmChannel();
  for (let n = 0; n < MANY; n++)
    channel.publish('jobs', 'invoice.render', Buffer.from('{}'), { messageId: uuid(), type });
  await channel.waitForConfirms();
  await connection.close();
  const { id } = await producer.jobs.enqueue(RenderV1, { title: 'behind them' });
  await startWorker(old, prefetch);
  await reaches(id, { state: 'succeeded', attempt: 1 });
  const queues = producer.app.get(QueueStore);
  await eventually(async () => {
    const [found] = (await queues.list()).filter((view) => view.queue === queue);
    return expect(found).toMatchObject({ queued: MANY, running: 0 }) === undefined;
  });
  const listed = await producer.app.get(JobQueries).list({ state: 'queued', name: type, limit: 1_000 });
  expect(listed).toHaveLength(MANY);
  // A rebuild has nothing to publish of them, and does not wait for them.
  const outbox = producer.app.get(OutboxStore);
  expect(await outbox.republishAll()).toBe(0);
  expect(await outbox.pendingUpTo(uuid())).toBe(0);
  await eventually(async () => (await environment.countReady(queue)) === 0);

  await producer.app.get(JobStore).cancel(listed.map((job) => job.id));
  await reaches(listed[0]!.id, { state: 'cancelled', attempt: 0 });
});

test('P16: what nobody has come to know when its time is over is a dead letter that says so, and can be replayed', async () => {
  await startWorker(old, { HOLD_UNKNOWN: 300 });
  const newer = await producer.jobs.enqueue(RenderV3, { subject: 'late', lines: 1 });
  const unknown = await producer.jobs.enqueue(PrintInvoice, { subject: 'late', lines: 1 });
  const end = ', and no worker that does came while it was held (HOLD_UNKNOWN)';
  await reaches(newer.id, {
    ...{ state: 'dead', attempt: 1 },
    error: { message: `This worker does not know invoice.render version 3${end}` },
  });
  await reaches(unknown.id, {
    ...{ state: 'dead', attempt: 1, version: 3 },
    error: { message: `No contract is named "invoice.print"${end}`, class: 'UnknownContractError' },
  });
  await workers.pop()!.close();
  await startWorker(old);
  expect(await producer.app.get(DeadJobStore).replay({})).toBe(2);
  // From then on it is held for as long again.
  await reaches(newer.id, { state: 'queued', attempt: 0, ...waitsFor('invoice.render version 3') });
  await startWorker(newest);
  for (const { id } of [newer, unknown]) await reaches(id, { state: 'succeeded', attempt: 1 });
});

test('P16: without a time to wait, what nobody knows is a dead letter at once', async () => {
  await startWorker(old, { HOLD_UNKNOWN: 0 });
  const { id } = await producer.jobs.enqueue(RenderV3, { subject: 'now', lines: 1 });
  await reaches(id, {
    ...{ state: 'dead', attempt: 1 },
    error: { message: 'This worker does not know invoice.render version 3' },
  });
});

test('P16: a job that comes again before its worker knows that it was held is held again', async () => {
  const slow = await givenProxy(environment.databaseUrl);
  const worker = await givenWorker({ ...environment, databaseUrl: slow.url }, { ...old, settings: {} });
  try {
    slow.shape({ latencyMs: 400 });
    const { id } = await producer.jobs.enqueue(RenderV3, { subject: 'again', lines: 1 });
    const claims = async () => {
      const [row] = await environment.sql('select claim from jobs where id = $1 and held_until is not null', [
        id,
      ]);
      return row?.claim;
    };
    await eventually(async () => (await claims()) === 1);
    const headers = { 'x-version': 3 };
    await environment.publish('invoice.render', '{}', { messageId: id, type: 'invoice.render', headers });
    await eventually(async () => (await claims()) === 2);
    slow.mend();
    await producer.app.get(JobStore).cancel([id]);
  } finally {
    await worker.close();
    await slow.close();
  }
});
