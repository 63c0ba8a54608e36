import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, JobFailedError, ProblemError } from '#client';
import * as all from '#contracts';
import { type Handler, type JobContext, JobHandler, NonRetryableError } from '#jobs';
import { forwardedLog } from '#telemetry';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenWorker,
} from '#testing/services';
import * as contracts from '../../samples/contracts.js';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';

const KEY = 'a-key-for-this-test-only';
const SHOP_KEY = 'a-key-that-may-enqueue-only';
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'World' };

/** Goes on when the test says so; dies of a job that is to fail. */
@JobHandler(contracts.SampleFlaky)
class FlakyHandler implements Handler<typeof contracts.SampleFlaky> {
  static goOn: () => void = () => undefined;

  async handle({ attempt, payload, progress }: JobContext<typeof contracts.SampleFlaky>) {
    if (payload.failures > 0) throw new NonRetryableError('It is to fail');
    progress(0.5, 'half');
    await new Promise<void>((resolve) => {
      FlakyHandler.goOn = resolve;
    });
    return { attempts: attempt };
  }
}
@JobHandler(contracts.SampleMail)
class MailHandler implements Handler<typeof contracts.SampleMail> {
  handle({ id, log, payload }: JobContext<typeof contracts.SampleMail>) {
    log.info({ size: payload.text.length }, 'sent');
    return { messageId: id };
  }
}

let environment: Environment;
let api: AppProcess;
let worker: Awaited<ReturnType<typeof givenWorker>>;
let proxy: TcpProxy;
const connect = (url: string) => createClient({ url, apiKey: KEY, contracts });
let client: ReturnType<typeof connect>;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(all));
  api = await (
    await givenProcess('api', environment, { API_KEYS: `${KEY},enqueue:shop:${SHOP_KEY}` })
  ).ready();
  worker = await givenWorker(environment, {
    contracts: Object.values(contracts),
    handlers: [FlakyHandler, MailHandler],
    log: forwardedLog('info', () => {}),
    settings: { WORKER_QUEUES: ['sample-flaky', 'sample-mail'] },
  });
  proxy = await givenProxy(api.url);
  client = connect(proxy.url);
});
afterAll(async () => {
  await proxy?.close();
  await worker?.close();
  await api?.stop();
  await environment?.close();
});

test('a job is enqueued, run, looked at, listed and cancelled, with the types of its contract', async () => {
  const { messageId } = await client.run('sample.mail', mail);
  const job = await client.get(messageId);
  expect(job).toMatchObject({ id: messageId, state: 'succeeded', result: { messageId } });
  const { items, next } = await client.list({ name: 'sample.mail', limit: 1 });
  expect(items).toEqual([job]);
  expect(items[0]?.result?.messageId).toBe(messageId);
  expect((await client.list({ cursor: next! })).items).toEqual([]);

  const [line] = await eventually(async () => {
    const lines = await client.log(messageId, { attempt: 1 });
    return lines.length > 0 ? lines : undefined;
  });
  expect(line).toMatchObject({ attempt: 1, level: 'info', message: 'sent', fields: { size: 5 } });
  expect(Date.parse(line!.at)).toBeGreaterThan(0);
  expect(await client.log(messageId, { attempt: 2 })).toEqual([]);

  const later = await client.enqueue('sample.mail', mail, { delay: '1h' });
  expect(later.state).toBe('scheduled');
  expect((await client.cancel(later.id)).state).toBe('cancelled');

  const again = await client.rerun(later.id, { patch: { subject: 'Again' } });
  expect(again).toMatchObject({ rerunOf: later.id, payload: { subject: 'Again' } });
  const options = { delay: '1h', tags: ['client'] } as const;
  const all = await client.enqueueAll([
    { name: 'sample.mail', payload: mail, options },
    { name: 'sample.flaky', payload: { failures: 0 }, options },
  ]);
  expect(all.map(({ state }) => state)).toEqual(['scheduled', 'scheduled']);
  expect((await client.list({ tag: 'client', where: '/failures:0' })).items).toMatchObject([
    { id: all[1]?.id },
  ]);
  expect(await client.many('reschedule', { tag: 'client', delay: '2h', perSecond: 1 })).toEqual({ count: 2 });
  expect(await client.many('cancel', { tag: 'client' })).toEqual({ count: 2 });

  // @ts-expect-error: there is no such contract
  await expect(client.enqueue('sample.none', {})).rejects.toThrow(ProblemError);
  // @ts-expect-error: this is not what the contract says
  const error = await client.enqueue('sample.mail', { ...mail, to: 7 }).catch((error) => error);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error.message).toMatch(/^422 The payload does not fit the contract sample\.mail; \/payload\/to /);
  expect(error.problem).toMatchObject({ type: 'urn:warren:problem:payload-does-not-fit' });
});

test('what a key may not do is an error that says what is missing, at once', async () => {
  const shop = createClient({ url: api.url, apiKey: SHOP_KEY, contracts });
  const { id } = await shop.enqueue('sample.mail', mail, { delay: '1h' });
  const error = await shop.get(id).catch((error) => error);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error.message).toBe('403 The key shop may not do this: it takes a key with the scope read');
  expect(error.problem).toMatchObject({ type: 'urn:warren:problem:scope-missing', scope: 'read' });
  // Before anything is enqueued.
  await expect(shop.run('sample.mail', mail)).rejects.toThrow('403 To wait for the end of the job');
});

test('a job that fails is an error with the job; one that lasts is waited for beyond what a request waits', async () => {
  const failure = await client.run('sample.flaky', { failures: 1 }).catch((error) => error);
  expect(failure).toBeInstanceOf(JobFailedError);
  expect(failure.job).toMatchObject({ state: 'dead', error: { message: 'It is to fail' } });

  const run = client.run('sample.flaky', { failures: 0 }, { wait: 1 });
  const id = await eventually(async () => (await client.list({ state: 'running' })).items[0]?.id);
  const follower = client.watch(id);
  expect((await follower.next()).value).toMatchObject({ type: 'state', state: 'queued', attempt: 0 });
  expect((await follower.next()).value).toMatchObject({ type: 'state', state: 'running', attempt: 1 });
  expect((await follower.next()).value).toEqual({ type: 'progress', progress: 0.5, note: 'half' });
  proxy.cut();
  proxy.mend();
  FlakyHandler.goOn();
  expect((await follower.next()).value).toMatchObject({ type: 'state', state: 'succeeded' });
  expect((await follower.next()).done).toBe(true);
  expect(await run).toEqual({ attempts: 1 });
});

test('a request whose connection broke after it was sent is sent again, and makes one job', async () => {
  const count = async (name: string) =>
    Number((await environment.sql<{ count: string }>(`select count(*) from ${name}`))[0]?.count);
  const before = await count('jobs');
  proxy.swallow('toClient');
  const enqueued = client.enqueue('sample.mail', mail, { delay: '1h' });
  await eventually(async () => (await count('jobs')) === before + 1);
  proxy.cut();
  proxy.mend();
  const { id } = await enqueued;
  expect(await count('jobs')).toBe(before + 1);
  expect(await client.get(id)).toMatchObject({ id, state: 'scheduled' });

  // Without an Idempotency-Key nobody knows whether there is a job: it is for the caller to decide.
  proxy.swallow('toClient');
  const unique = client.enqueue('sample.mail', mail, { delay: '1h', unique: { key: 'one' } });
  const refused = expect(unique).rejects.toThrow('fetch failed');
  await eventually(async () => (await count('jobs')) === before + 2);
  proxy.cut();
  proxy.mend();
  await refused;
});

test('429 and 503 are tried again when they say, with the same key, as often as was asked for', async () => {
  const seen: (string | undefined)[] = [];
  const answers = [503, 429, 200, 503, 503];
  const server = createServer((request, response) => {
    seen.push(request.headers['idempotency-key'] as string);
    response.writeHead(answers.shift() ?? 500, { 'retry-after': '0' }).end('{"detail":"Not now"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options = { url: `http://127.0.0.1:${port}/`, contracts, retries: 2 };
  await createClient(options).enqueue('sample.mail', mail);
  expect(new Set(seen)).toEqual(new Set([expect.stringMatching(/^[\w-]{36}$/)]));
  expect(seen).toHaveLength(3);
  const failure = createClient({ ...options, retries: 1 }).enqueue('sample.mail', mail);
  await expect(failure).rejects.toMatchObject({ status: 503, message: '503 Not now' });
  server.closeAllConnections();
  server.close();
});

test('jobs of one contract are enqueued in bulk, and counted together', async () => {
  const { id, total } = await client.bulk('sample.mail', [mail, mail, mail]);
  expect(total).toBe(3);
  await eventually(async () => (await client.batch(id)).counts.succeeded === 3);
  expect((await client.list({ batch: id })).items).toHaveLength(3);
});

test('an aborted signal ends what is waited for', async () => {
  const { id } = await client.enqueue('sample.mail', mail, { delay: '1h' });
  const ending = new AbortController();
  const follower = client.watch(id, ending.signal);
  expect((await follower.next()).value).toMatchObject({ state: 'scheduled' });
  const next = expect(follower.next()).rejects.toThrow('Enough');
  ending.abort(new Error('Enough'));
  await next;
});
