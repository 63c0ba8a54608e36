import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { JobView } from '#records';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { givenOtlpReceiver, type OtlpReceiver } from '../../support/otlp-receiver.js';

/** Makes Node refuse to load anything of OpenTelemetry's but its api. */
const hooks = `export const resolve = (name, context, next) => {
  if (/^@opentelemetry\\/(?!api$)/.test(name)) throw new Error('The SDK was loaded: ' + name);
  return next(name, context);
}`;
const asUrl = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
const withoutSdk = [
  '--import',
  asUrl(`import { register } from 'node:module'; register(${JSON.stringify(asUrl(hooks))});`),
];

const trace = randomBytes(16).toString('hex');
const caller = '00f067aa0ba902b7';
const traceparent = `00-${trace}-${caller}-01`;
const tracestate = 'vendor=opaque:1,other@sub=2';
const traced = { traceparent, tracestate };

let environment: Environment;
let receiver: OtlpReceiver;
const processes: AppProcess[] = [];

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  receiver = await givenOtlpReceiver();
});
afterAll(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await receiver?.close();
  await environment?.close();
});

async function given(settings: Record<string, string>, nodeOptions: string[] = []) {
  const both = await Promise.all(
    (['api', 'worker'] as const).map((app) => givenProcess(app, environment, settings, { nodeOptions })),
  );
  processes.push(...both);
  await Promise.all(both.map((process) => process.ready()));
  return both as [AppProcess, AppProcess];
}
async function call(url: string, init: RequestInit = {}): Promise<JobView> {
  const response = await fetch(url, init);
  expect(response.ok).toBe(true);
  return (await response.json()) as JobView;
}
const enqueue = (api: AppProcess, body: object, headers: Record<string, string> = {}) =>
  call(`${api.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const succeeded = (api: AppProcess, { id }: JobView) =>
  eventually(async () => (await call(`${api.url}/jobs/${id}`)).state === 'succeeded', 20_000);
/** Its lines about a job, once there are so many: they are written some moments later. */
async function linesOf(worker: AppProcess, { id }: JobView, count: number) {
  const lines = () =>
    worker
      .output()
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.includes(id));
  await eventually(() => lines().length >= count);
  return lines().map((line) => JSON.parse(line) as { traceId?: string });
}

test('one trace goes from the request through the message to every attempt, over two processes', async () => {
  const [api, worker] = await given({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  const canary = 'secret-in-the-payload';
  const job = await enqueue(api, { name: 'sample.flaky', payload: { failures: 1, canary } }, traced);
  // Published by the relay, from what its record says.
  const late = await enqueue(api, {
    name: 'sample.flaky',
    payload: { failures: 0 },
    options: { delay: '500ms' },
  });
  expect(job.traceId).toBe(trace);
  await Promise.all([succeeded(api, job), succeeded(api, late)]);
  expect((await call(`${api.url}/jobs/${job.id}`)).traceId).toBe(trace);
  expect(await linesOf(worker, job, 2)).toEqual([
    expect.objectContaining({ traceId: trace }),
    expect.objectContaining({ traceId: trace }),
  ]);
  // What is left is exported when they stop.
  expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);

  const find = (traceId: string, name: string, attempt?: number) => {
    const found = receiver.spans.filter(
      (span) =>
        span.traceId === traceId &&
        span.name === name &&
        (attempt === undefined || Number(span.attributes['job.attempt']) === attempt),
    );
    expect(found).toHaveLength(1);
    return found[0]!;
  };
  const request = find(trace, 'POST /jobs');
  const send = find(trace, 'send jobs:sample.flaky');
  const first = find(trace, 'process jobs:sample.flaky:sample-flaky', 1);
  const retry = find(trace, 'send jobs.retry:sample.flaky');
  const second = find(trace, 'process jobs:sample.flaky:sample-flaky', 2);
  const ofTrace = receiver.spans.filter(({ traceId }) => traceId === trace);
  expect(ofTrace.map(({ traceState }) => traceState)).toEqual(Array(5).fill(tracestate));

  expect([request, send, first, retry, second].map(({ parentSpanId }) => parentSpanId)).toEqual(
    [caller, request, send, first, retry].map((parent) =>
      typeof parent === 'string' ? parent : parent.spanId,
    ),
  );
  expect(
    [request, send, first, retry, second].map(({ service, kind, isError }) => [service, kind, isError]),
  ).toEqual([
    ['warren-api', 'server', false],
    ['warren-api', 'producer', false],
    ['warren-worker', 'consumer', true],
    ['warren-worker', 'producer', false],
    ['warren-worker', 'consumer', false],
  ]);
  expect(first.attributes).toMatchObject({
    'messaging.system': 'rabbitmq',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': 'jobs:sample.flaky:sample-flaky',
    'messaging.message.id': job.id,
    'job.outcome': 'failed',
    'error.type': 'Error',
  });

  const { traceId, spanId } = receiver.spans.find(
    (span) => span.name === 'POST /jobs' && span.traceId !== trace,
  )!;
  expect(late.traceId).toBe(traceId);
  const relayed = find(traceId, 'send jobs:sample.flaky');
  expect([relayed.service, relayed.parentSpanId]).toEqual(['warren-worker', spanId]);
  expect(find(traceId, 'process jobs:sample.flaky:sample-flaky').parentSpanId).toBe(relayed.spanId);
  expect(JSON.stringify(receiver.spans)).not.toContain(canary);
});

test('without an endpoint no SDK is loaded; who comes with a traceparent still finds it in job, log and message', async () => {
  const [api, worker] = await given({}, withoutSdk);
  const next = { name: 'sample.flaky', payload: { failures: 0 } };
  const body = { name: 'sample.flaky', payload: { failures: 1 }, options: { next } };
  const [first, plain] = await Promise.all([
    enqueue(api, body, { ...traced, 'idempotency-key': 'once' }),
    enqueue(api, { name: 'sample.flaky', payload: { failures: 0 } }, { ...traced, traceparent: 'nonsense' }),
  ]);
  expect([first.traceId, plain.traceId]).toEqual([trace, null]);
  await Promise.all([succeeded(api, first), succeeded(api, plain)]);
  // Tried again by the client, in another trace: the same job all the same.
  expect((await enqueue(api, body, { 'idempotency-key': 'once' })).id).toBe(first.id);
  expect((await call(`${api.url}/jobs/${first.next}`)).traceId).toBe(trace);
  // Of both attempts: the retry's message carried it too.
  expect((await linesOf(worker, first, 2)).map(({ traceId }) => traceId)).toEqual([trace, trace]);
  expect((await linesOf(worker, plain, 1)).map(({ traceId }) => traceId)).toEqual([undefined]);
  expect(
    await environment.sql('select traceparent from jobs where id = any ($1)', [[first.id, plain.id]]),
  ).toEqual(expect.arrayContaining([{ traceparent: `${traceparent} ${tracestate}` }, { traceparent: null }]));
});

test('with the SDK forbidden, an app that is to make spans does not start', async () => {
  const process = await givenProcess(
    'worker',
    environment,
    { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
    { nodeOptions: withoutSdk },
  );
  processes.push(process);
  await eventually(() => process.output().includes('The SDK was loaded'), 60_000);
});
