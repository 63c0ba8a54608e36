import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { loadSettings } from '#config';
import { DeliverWebhook } from '#contracts';
import { NonRetryableError, RetryAfterError } from '#jobs';
import { eventually, givenJob } from '#testing';
import { OutboundHttp } from '../outbound-http.js';
import { RefusedTargetError } from '../public-connector.js';
import { DeliverWebhookHandler } from './deliver-webhook.handler.js';

const key = Buffer.from('a secret key of thirty-two bytes');
const settings = loadSettings({
  ALLOW_PRIVATE_TARGETS: 'true',
  WEBHOOK_SECRET: `whsec_${key.toString('base64')}`,
});
const http = new OutboundHttp(settings);
const handler = new DeliverWebhookHandler(http, settings);

let server: Server;
let url: string;
let received: { request: IncomingMessage; body: string }[] = [];
let answer: (response: ServerResponse, request: IncomingMessage) => void;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    received.push({ request, body: Buffer.concat(chunks).toString('utf8') });
    answer(response, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret-path?token=secret`;
});

beforeEach(() => {
  received = [];
  answer = (response) => response.end();
});

afterAll(async () => {
  await http.onApplicationShutdown();
  server.closeAllConnections();
  server.close();
});

const job = (options?: Parameters<typeof givenJob>[2]) =>
  givenJob(DeliverWebhook, { url, type: 'invoice.paid', data: { amount: 12, note: 'Grüße' } }, options);

const answerWith = (status: number, headers: Record<string, string> = {}, body = '') => {
  answer = (response) => response.writeHead(status, headers).end(body);
};

test('delivers the event with a signature that the subscriber can check', async () => {
  const delivery = job();
  expect(await handler.handle(delivery)).toEqual({ status: 200 });

  const [{ request, body }] = received as [(typeof received)[0]];
  expect(request.method).toBe('POST');
  expect(request.headers['content-type']).toBe('application/json');
  expect(request.headers['user-agent']).toBe('Warren');
  expect(JSON.parse(body)).toEqual({
    type: 'invoice.paid',
    timestamp: '2026-01-02T03:04:05.678Z',
    data: { amount: 12, note: 'Grüße' },
  });
  const timestamp = request.headers['webhook-timestamp'] as string;
  expect(request.headers['webhook-id']).toBe(delivery.id);
  expect(Math.abs(Number(timestamp) - Date.now() / 1_000)).toBeLessThan(10);
  const signature = createHmac('sha256', key).update(`${delivery.id}.${timestamp}.${body}`).digest('base64');
  expect(request.headers['webhook-signature']).toBe(`v1,${signature}`);
});

test('a second attempt sends the same id and body', async () => {
  const first = job();
  await handler.handle(first);
  await handler.handle({ ...first, attempt: 2 });
  expect(received).toHaveLength(2);
  expect(received[1]!.body).toBe(received[0]!.body);
  expect(received[1]!.request.headers['webhook-id']).toBe(received[0]!.request.headers['webhook-id']);
});

test.each([200, 201, 202, 204, 299])('%d is a success', async (status) => {
  answerWith(status);
  expect(await handler.handle(job())).toEqual({ status });
});

test('a redirect is a failure that is tried again, and is not followed', async () => {
  answerWith(302, { location: 'http://169.254.169.254/latest/meta-data' });
  const failed = handler.handle(job());
  await expect(failed).rejects.toThrow(/answered 302, a redirect, and redirects are not followed/);
  await expect(failed).rejects.not.toThrow(NonRetryableError);
  await expect(failed).rejects.not.toThrow(RetryAfterError);

  answerWith(307, { location: url });
  await expect(handler.handle(job())).rejects.toThrow('answered 307');
  expect(received).toHaveLength(2);
});

test.each([
  [429, '120', 120_000],
  [503, '7', 7_000],
  [429, '0', 1_000],
  [503, '99999999', 86_400_000],
])('%d with Retry-After: %s is tried again after %d ms', async (status, header, delay) => {
  answerWith(status, { 'retry-after': header });
  const error = await handler.handle(job()).catch((error) => error);
  expect(error).toBeInstanceOf(RetryAfterError);
  expect(error.delay).toBe(delay);
  expect(error.message).toContain(`answered ${status}`);
});

test('Retry-After may be a date', async () => {
  answerWith(503, { 'retry-after': new Date(Date.now() + 600_000).toUTCString() });
  const error = await handler.handle(job()).catch((error) => error);
  expect(error).toBeInstanceOf(RetryAfterError);
  expect(error.delay).toBeGreaterThan(580_000);
  expect(error.delay).toBeLessThanOrEqual(600_000);
});

test.each([
  [429, {}],
  [503, { 'retry-after': 'soon' }],
  [500, { 'retry-after': '60' }],
  [400, {}],
  [404, {}],
  [502, {}],
] as [number, Record<string, string>][])(
  '%d with %j follows the delays of the contract',
  async (status, headers) => {
    answerWith(status, headers, 'what went\r\n\twrong\0');
    const error = await handler.handle(job()).catch((error) => error);
    expect(error.constructor).toBe(Error);
    expect(error.message).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+ answered ${status}: what went wrong$`));
  },
);

test('410 is not tried again', async () => {
  answerWith(410);
  const failed = handler.handle(job());
  await expect(failed).rejects.toThrow(NonRetryableError);
  await expect(failed).rejects.toThrow('stop sending to this URL');
});

test('an error names the host but not the path, which may hold a secret', async () => {
  answerWith(500);
  const error: Error = await handler.handle(job()).catch((error) => error);
  expect(error.message).toContain('127.0.0.1');
  expect(error.message).not.toContain('secret');
});

test.each([200, 500])('an answer of %d without an end is read a little and cut off', async (status) => {
  let sent = 0;
  let closed = false;
  answer = (response) => {
    response.writeHead(status).on('close', () => {
      closed = true;
    });
    const flood = () => {
      while (!closed && response.write(Buffer.alloc(65_536, 'x'))) sent += 65_536;
    };
    response.on('drain', flood);
    flood();
  };
  const outcome = await handler.handle(job()).catch((error) => error);
  if (status === 200) expect(outcome).toEqual({ status });
  else expect(outcome.message.length).toBeLessThan(300);
  await eventually(() => closed);
  // What the kernel's buffers take in; the handler itself has read a few KiB.
  expect(sent).toBeLessThan(32 * 1024 * 1024);
});

test('a success counts although its body never ends', async () => {
  answer = (response) => response.writeHead(200).write('{');
  expect(await handler.handle(job())).toEqual({ status: 200 });
});

test('a server that does not answer is let go when the job is aborted', async () => {
  const controller = new AbortController();
  const reason = new Error('time is over');
  let closed = false;
  answer = (response) => {
    response.on('close', () => {
      closed = true;
    });
    controller.abort(reason);
  };
  await expect(handler.handle(job({ signal: controller.signal }))).rejects.toBe(reason);
  await eventually(() => closed);
});

test('a server that hangs up is an ordinary failure', async () => {
  answer = (response) => response.destroy();
  const failed = handler.handle(job());
  await expect(failed).rejects.toThrow(/^No answer from 127\.0\.0\.1:\d+: other side closed/);
  await expect(failed).rejects.not.toThrow(NonRetryableError);
});

test('private addresses are refused unless they are allowed', async () => {
  const guarded = new OutboundHttp(loadSettings({}));
  const failed = new DeliverWebhookHandler(guarded, settings).handle(job());
  await expect(failed).rejects.toThrow(RefusedTargetError);
  await expect(failed).rejects.toThrow(NonRetryableError);
  expect(received).toHaveLength(0);
  await guarded.onApplicationShutdown();
});

test('without a secret nothing is sent, and the error says how to make one', async () => {
  const failed = new DeliverWebhookHandler(http, loadSettings({})).handle(job());
  await expect(failed).rejects.toThrow(NonRetryableError);
  await expect(failed).rejects.toThrow('WEBHOOK_SECRET is not set');
  expect(received).toHaveLength(0);
});
