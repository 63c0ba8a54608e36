import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { BatchView } from '#batches';
import * as contracts from '#contracts';
import type { JobView } from '#records';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { expectDocumented } from '../../support/documented.js';
import { givenReceiver, type Receiver, receiverSettings } from '../../support/receiver.js';

let environment: Environment;
let api: AppProcess;
const processes: AppProcess[] = [];
let receiver: Receiver | undefined;

beforeEach(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  api = await given('api');
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await receiver?.close();
  receiver = undefined;
  await environment?.close();
});

async function given(app: 'api' | 'worker', settings: Record<string, string> = {}) {
  const process = await givenProcess(app, environment, {
    ...receiverSettings,
    SHUTDOWN_GRACE: '5s',
    ...settings,
  });
  processes.push(process);
  return process.ready();
}
async function call<Body = BatchView>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  expectDocumented(method, path, response.status, answer);
  return { status: response.status, headers: response.headers, body: answer as Body };
}
const show = async (id: string) => (await call('GET', `/batches/${id}`)).body;
const completed = (id: string, within = 15_000) =>
  eventually(async () => {
    const batch = await show(id);
    return batch.completedAt ? batch : undefined;
  }, within);
const works = { failures: 0 };
const fails = { failures: 99 };
const following = { name: 'sample.flaky', payload: works };

test('10,000 jobs in one request all run, and what follows is enqueued once', async () => {
  const { status, headers, body } = await call('POST', '/batches', {
    name: 'sample.flaky',
    payloads: Array.from({ length: 10_000 }, () => works),
    options: { tags: ['nightly'] },
    onComplete: following,
    onSuccess: following,
  });
  expect([status, headers.get('location')]).toEqual([202, `/batches/${body.id}`]);
  expect(body).toMatchObject({
    name: 'sample.flaky',
    total: 10_000,
    counts: { queued: 10_000, succeeded: 0 },
    completedAt: null,
  });
  await Promise.all([
    given('worker', { WORKER_PREFETCH: '250' }),
    given('worker', { WORKER_PREFETCH: '250' }),
  ]);
  const done = await completed(body.id, 60_000);
  expect(done.counts).toMatchObject({ queued: 0, running: 0, succeeded: 10_000 });
  for (const id of [done.onComplete, done.onSuccess]) {
    const job = await eventually(async () => {
      const { body } = await call<JobView>('GET', `/jobs/${id}`);
      return body.state === 'succeeded' ? body : undefined;
    });
    expect(job.tags).toEqual(['nightly']);
    expect(job.previous).toEqual({
      id: done.id,
      name: 'sample.flaky',
      result: { total: 10_000, succeeded: 10_000, dead: 0, cancelled: 0, discarded: 0 },
    });
  }
  expect(await environment.sql('select id from jobs')).toHaveLength(10_002);
  const listed = await call<{ items: JobView[] }>('GET', `/jobs?batch=${body.id}&limit=3`);
  expect(listed.body.items.map(({ batch }) => batch)).toEqual([body.id, body.id, body.id]);
  expect((await call<{ items: JobView[] }>('GET', '/jobs?tag=nightly')).body.items).toHaveLength(50);
}, 120_000);

test('what follows is enqueued exactly once when the last two jobs end at the same moment and a worker is killed meanwhile', async () => {
  const [first] = await Promise.all([given('worker'), given('worker')]);
  const batches = await Promise.all(
    Array.from({ length: 150 }, async (_, index) => {
      const payloads = index % 10 === 0 ? [works, fails] : [works, works];
      const { body } = await call('POST', '/batches', {
        name: 'sample.flaky',
        payloads,
        onComplete: following,
        onSuccess: following,
      });
      return { ...body, succeeds: index % 10 !== 0 };
    }),
  );
  await eventually(async () => {
    const [row] = await environment.sql<{ count: number }>(
      'select count(*)::int as count from batches where completed_at is not null',
    );
    return Number(row?.count) >= 20;
  });
  await first.stop('SIGKILL');
  for (const batch of batches) await completed(batch.id, 40_000);
  const rows = await environment.sql<{ id: string; batch: string }>(
    `select id, previous ->> 'id' as batch from jobs where previous is not null`,
  );
  for (const { id, onComplete, onSuccess, succeeds } of batches) {
    const ids = rows.filter(({ batch }) => batch === id).map((row) => row.id);
    expect(ids.sort()).toEqual((succeeds ? [onComplete, onSuccess] : [onComplete]).sort());
  }
}, 120_000);

test('P10: of a cancelled batch nothing more starts, what runs is told, and its end is told to who waits for it', async () => {
  receiver = await givenReceiver();
  await given('worker', { WORKER_PREFETCH: '2' });
  const { url } = receiver;
  const { body } = await call('POST', '/batches', {
    name: 'sample.call',
    payloads: Array.from({ length: 10 }, () => ({ url, type: 'test', data: null })),
    onComplete: following,
    onSuccess: following,
  });
  await eventually(() => receiver?.waiting.length === 2);
  const cancelled = await call('POST', `/batches/${body.id}/cancel`);
  expect(cancelled).toMatchObject({ status: 200, body: { counts: { cancelled: 8, running: 2 } } });
  const done = await completed(body.id);
  expect(done.counts).toMatchObject({ cancelled: 10, running: 0, queued: 0 });
  expect(receiver.received).toHaveLength(2);
  const complete = await call<JobView>('GET', `/jobs/${done.onComplete}`);
  expect(complete.body.previous?.result).toMatchObject({ total: 10, cancelled: 10 });
  expect((await call('GET', `/jobs/${done.onSuccess}`)).status).toBe(404);
  // Once and for all; but a batch that has ended by itself is not cancelled any more.
  expect((await call('POST', `/batches/${body.id}/cancel`)).status).toBe(200);
  const other = await call('POST', '/batches', { name: 'sample.flaky', payloads: [works] });
  await completed(other.body.id);
  expect((await call('POST', `/batches/${other.body.id}/cancel`)).status).toBe(409);
});

describe('POST /batches', () => {
  const batch = { name: 'sample.flaky', payloads: [works] };
  const many = Array.from({ length: 10_001 }, () => works);
  test('accepts all or nothing, and says what does not fit and where', async () => {
    type Problem = { errors: { pointer: string }[] };
    for (const [body, status, ...pointers] of [
      [
        { ...batch, payloads: [works, { failures: -1 }, {}] },
        422,
        '/payloads/1/failures',
        '/payloads/2/failures',
      ],
      [
        { ...batch, payloads: many.slice(1).map(() => ({})) },
        422,
        ...many.slice(0, 20).map((_, n) => `/payloads/${n}/failures`),
      ],
      [{ ...batch, payloads: many }, 422, '/payloads'],
      [{ ...batch, payloads: 'many' }, 422, '/payloads'],
      [{ ...batch, onComplete: { name: 'nobody', payload: 1 } }, 422, '/onComplete/name'],
      [{ ...batch, onSuccess: { ...following, payload: {} } }, 422, '/onSuccess/payload/failures'],
      [
        { ...batch, onSuccess: { ...following, options: { next: { payload: 1 } } } },
        422,
        '/onSuccess/options/next/name',
      ],
      [{ ...batch, options: { queue: 'nowhere' } }, 422, '/options/queue'],
      [{ ...batch, options: { delay: 1, runAt: '2999-01-01T00:00:00Z' } }, 422, '/options/runAt'],
      [{ ...batch, name: 'nobody' }, 404],
    ] as [unknown, number, ...string[]][]) {
      const answer = await call<Problem>('POST', '/batches', body);
      expect([answer.status, ...(answer.body.errors ?? []).map(({ pointer }) => pointer)]).toEqual([
        status,
        ...pointers,
      ]);
    }
    expect(await environment.sql('select id from jobs union all select id from batches')).toEqual([]);
  });

  test('takes 10 MiB, and no more than 16', async () => {
    const payload = { url: 'https://example.com', type: 'test', data: 'x'.repeat(10_000) };
    const large = (count: number) =>
      call('POST', '/batches', {
        name: 'sample.call',
        payloads: Array.from({ length: count }, () => payload),
      });
    expect((await large(1_000)).status).toBe(202);
    expect((await large(1_700).catch(() => ({ status: 413 }))).status).toBe(413);
  });

  test('makes one batch for one Idempotency-Key, however many ask at once', async () => {
    const ask = (body: unknown = batch) => call('POST', '/batches', body, { 'idempotency-key': '"a-key"' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask()));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 202]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect((await ask({ ...batch, payloads: [fails] })).status).toBe(422);
    expect(await environment.sql('select id from jobs')).toHaveLength(1);
  });

  test('P15: takes in no more than four bodies of the largest size at once, and tells the next ones to come later', async () => {
    const { request } = await import('node:http');
    const announced = 16 * 1024 * 1024;
    // One more than is taken in. What was announced takes up nothing, what came does: whichever comes last is refused.
    const open = Array.from({ length: 5 }, () => {
      const slow = request(`${api.url}/batches`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': announced },
      });
      slow.on('error', () => {});
      slow.write(Buffer.alloc(announced - 100_000, ' '));
      return slow;
    });
    const [refused] = await Promise.any(open.map((slow) => once(slow, 'response')));
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '5']);
    for (const slow of open) slow.destroy();
    await eventually(async () => (await call('POST', '/batches', batch)).status === 202);
  });

  test('of no jobs at all is complete, and what follows runs', async () => {
    await given('worker');
    const { body } = await call('POST', '/batches', { ...batch, payloads: [], onSuccess: following });
    const done = await completed(body.id);
    await eventually(
      async () => (await call<JobView>('GET', `/jobs/${done.onSuccess}`)).body.state === 'succeeded',
    );
    expect((await call('GET', '/batches/01890a5d-ac96-774b-bcce-b302099a8057')).status).toBe(404);
  });
});
