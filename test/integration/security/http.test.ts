import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';

const KEY = 'a-key-for-this-test-only';
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'World' };

let environment: Environment;
let api: AppProcess;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  api = await (await givenProcess('api', environment, { API_KEYS: KEY })).ready();
});
afterAll(async () => {
  await api?.stop();
  await environment?.close();
});

const call = (method: string, path: string, body?: string | object, key = KEY) =>
  fetch(`${api.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: typeof body === 'object' ? JSON.stringify(body) : body,
  });

test.each<[string, string, string, string | object | undefined, string]>([
  ['a job', 'POST', '/jobs', { name: 'sample.mail', payload: mail }, KEY],
  ['a list', 'GET', '/jobs', undefined, KEY],
  ['health', 'GET', '/health/live', undefined, 'none'],
  ['a refusal', 'GET', '/jobs', undefined, 'wrong'],
  ['what is nowhere', 'GET', '/nowhere', undefined, KEY],
  ['a broken URL', 'GET', '/jobs/%', undefined, KEY],
  ['a body that is not valid JSON', 'POST', '/jobs', '{', KEY],
])(
  '%s is answered with the headers that browsers and proxies obey, and nothing of what answers',
  async (...call_) => {
    const [, method, path, body, key] = call_;
    const { headers } = await call(method, path, body, key);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    for (const name of ['x-powered-by', 'server', 'access-control-allow-origin'])
      expect([name, headers.get(name)]).toEqual([name, null]);
  },
);

describe('what nobody expects', () => {
  test('an error of the database is 500, and tells the client neither what it was nor where', async () => {
    await environment.sql(`alter table jobs add constraint no_mail check (name <> 'sample.mail') not valid`);
    const answer = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    await environment.sql('alter table jobs drop constraint no_mail');
    expect(answer.status).toBe(500);
    expect(await answer.json()).toEqual({
      type: 'about:blank',
      title: 'Internal Server Error',
      status: 500,
      detail: 'An unexpected error; the log of the api says more',
      instance: '/jobs',
    });
    await eventually(() => api.output().includes('no_mail'));
  });

  test('what is no HTTP is refused without a word on the inside', async () => {
    const { port, hostname } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write('GET / HTTP/9.9\r\n\0\r\n\r\n');
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).not.toMatch(/node_modules|fastify|\bat .*:\d+/i);
  });
});

describe('without keys', () => {
  let open: AppProcess;
  beforeAll(async () => {
    open = await (await givenProcess('api', environment)).ready();
  });
  afterAll(() => open?.stop('SIGKILL'));
  const statusFor = async (method: string, path: string, headers: Record<string, string>) => {
    const sent = request(`${open.url}${path}`, { method, headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };
  const isPaused = async (queue: string) =>
    (await environment.sql('select 1 from paused_queues where queue = $1', [queue])).length === 1;

  test('no other name than those of this machine is answered to, so that no web page gets in by rebinding its own', async () => {
    const { port } = new URL(open.url);
    for (const path of ['/jobs', '/metrics', '/openapi.json']) {
      for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]', 'LOCALHOST', 'api.localhost'])
        expect([host, await statusFor('GET', path, { host: `${host}:${port}` })]).toEqual([host, 200]);
      for (const host of [
        'evil.example',
        '127.0.0.1.evil.example',
        'localhost.evil.example',
        'api',
        '0.0.0.0',
      ])
        expect([host, await statusFor('GET', path, { host: `${host}:${port}` })]).toEqual([host, 403]);
    }
    expect(await statusFor('GET', '/health/live', { host: `evil.example:${port}` })).toBe(200);
  });

  const id = '01900000-0000-7000-8000-000000000000';
  const actions = [
    ['POST', '/queues/sample-mail/pause'],
    ['POST', `/jobs/${id}/cancel`],
    ['POST', '/dead-letters/discard'],
  ] as const;
  test.each<Record<string, string>>([
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'http://localhost:1' },
  ])('nothing is done that a page of another site asks for: %p', async (headers) => {
    for (const [method, path] of actions)
      expect([path, await statusFor(method, path, headers)]).toEqual([path, 403]);
    expect(await isPaused('sample-mail')).toBe(false);
  });
  test('what a page of the api or no page asks for is done, and a link from elsewhere is followed', async () => {
    for (const headers of [
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      { origin: open.url },
      {},
    ] as Record<string, string>[])
      expect(await statusFor('POST', '/queues/sample-mail/pause', headers)).toBe(200);
    expect(await statusFor('POST', '/queues/sample-mail/resume', {})).toBe(200);
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect(await statusFor('GET', '/jobs', link)).toBe(200);
  });
});

test('whether it is ready is told to anybody, and no address with it', async () => {
  const lost = await givenProcess(
    'api',
    { ...environment, databaseUrl: 'postgresql://nobody:unknown@127.0.0.1:9/nowhere' },
    { API_KEYS: KEY },
  );
  const answer = await eventually(() => fetch(`${lost.url}/health/ready`), 60_000);
  const said = await answer.text();
  await lost.stop('SIGKILL');
  expect([answer.status, said]).toEqual([503, expect.stringContaining('does not answer')]);
  expect(said).not.toMatch(/127\.0\.0\.1|ECONNREFUSED|nobody|nowhere/);
});

describe('a payload that is made to hurt', () => {
  const deep = (levels: number, open = '[', close = ']') => open.repeat(levels) + close.repeat(levels);
  const called = (data: string) =>
    `{"name":"sample.call","payload":{"url":"https://example.com","type":"x","data":${data}}}`;
  const send = (payload: object, name = 'sample.mail') => JSON.stringify({ name, payload });
  // Four fifths of what a body may have.
  const long = 800_000;

  test.each<[string, string]>([
    ['100,000 levels of lists', called(deep(100_000))],
    ['100,000 levels of objects', called(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)],
    ['100,000 levels beside the payload', `{"name":"sample.mail","payload":{},"options":${deep(100_000)}}`],
    [
      '100,000 levels of following jobs',
      `{"name":"sample.mail","payload":{},"options":{"next":${deep(100_000)}}}`,
    ],
    ['an address of dots', send({ ...mail, to: '.'.repeat(long) })],
    ['an address of one letter', send({ ...mail, to: `${'a'.repeat(long)}@` })],
    ['an address of one letter and dots', send({ ...mail, to: `a@${'a.'.repeat(long / 2)}` })],
    ['a URL of one letter', called('null').replace('example.com', 'a'.repeat(long))],
    ['a date of digits', send({ from: '2'.repeat(long), to: '2026-01-01' }, 'sample.report')],
    ['a delay of digits', `{"name":"sample.mail","payload":{},"options":{"delay":"${'1'.repeat(long)}"}}`],
    ['a time of digits', `{"name":"sample.mail","payload":{},"options":{"runAt":"${'1'.repeat(long)}"}}`],
  ])('%s is refused, and the api goes on', async (_, body) => {
    const answer = await call('POST', '/jobs', body);
    expect([400, 413, 422]).toContain(answer.status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect((await call('POST', '/jobs', { name: 'sample.mail', payload: mail })).status).toBe(202);
    expect(api.child.exitCode).toBeNull();
  });
});
