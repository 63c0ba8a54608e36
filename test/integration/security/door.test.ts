import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { answerOn, exchange, givenSocket, head } from '../../support/raw-http.js';

const [KEY, OTHER] = ['a-key-for-this-test-only', 'another-key-of-this-test'] as const;
const MIB = 1024 * 1024;

let environment: Environment;
let api: AppProcess;
/** One that waits a second for a request. */
let hasty: AppProcess;
const sockets: Socket[] = [];

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  const settings = { API_KEYS: `${KEY},${OTHER}`, MAX_PAYLOAD: String(16 * MIB) };
  [api, hasty] = await Promise.all([
    givenProcess('api', environment, settings).then((app) => app.ready()),
    givenProcess('api', environment, { ...settings, REQUEST_TIMEOUT: '1s' }).then((app) => app.ready()),
  ]);
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all([api, hasty].map((app) => app?.stop()));
  await environment?.close();
});

const json = { 'content-type': 'application/json' };
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const open = async (bytes: string | Buffer = '', on = api) => {
  const socket = await givenSocket(on.url);
  sockets.push(socket);
  if (bytes.length > 0) socket.write(bytes);
  return socket;
};
/** A job with a body of that length, most of which is a name that nothing has. */
const postLarge = (key: string, length: number) =>
  fetch(`${api.url}/jobs`, {
    method: 'POST',
    headers: { ...json, ...bearer(key) },
    body: JSON.stringify({ name: 'n'.repeat(length), payload: {} }),
  });
const announce = (path: string, length: number, headers: Record<string, string> = {}) =>
  head(`POST ${path}`, { ...json, 'content-length': String(length), ...headers });

const expectProblem = (
  { headers, body }: { headers: Headers; body: string },
  status: number,
  more: object = {},
) => {
  expect(headers.get('content-type')).toContain('application/problem+json');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('content-length')).toBe(String(Buffer.byteLength(body)));
  expect(JSON.parse(body)).toMatchObject({
    status,
    type: expect.any(String),
    title: expect.any(String),
    ...more,
  });
};

describe('P15: without a key', () => {
  test.each<[string, string, Record<string, string>, number]>([
    ['a job', '/jobs', {}, 401],
    ['a job that waits to be asked for', '/jobs', { expect: '100-continue' }, 401],
    ['a job of a wrong key', '/jobs', bearer('wrong'), 401],
    ['what is nowhere', '/nowhere', {}, 404],
    ['what reads no body', '/health/live', {}, 404],
  ])('%s is answered before its body comes, and its connection closed', async (_, path, headers, status) => {
    const answer = await exchange(api.url, `${announce(path, 16 * MIB, headers)}{`);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('connection')).toBe('close');
    expectProblem(answer, status);
  });
  test('a body that is sent all the same is thrown away, and the answer is read', async () => {
    const answer = await fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: json,
      body: 'x'.repeat(4 * MIB),
    });
    expect(answer.status).toBe(401);
  });
  test('the oldest of many connections goes, and one with a key stays', async () => {
    const mine = await open(head('GET /queues', bearer(KEY)));
    expect((await answerOn(mine)).status).toBe(200);
    const first = await open();
    const gone = once(first, 'close');
    for (let count = 0; count < 500; count++) await open();
    await gone;
    mine.write(head('GET /queues', bearer(KEY)));
    expect((await answerOn(mine)).status).toBe(200);
    for (const socket of sockets) socket.destroy();
  });
});

describe('P15: large bodies', () => {
  test('that were announced and do not come keep no other from coming', async () => {
    for (let count = 0; count < 6; count++) await open(`${announce('/jobs', 16 * MIB, bearer(KEY))}{`);
    expect((await postLarge(KEY, MIB)).status).toBe(404);
  });
  test('are no more than may be at work, and those of one key keep nobody else from coming', async () => {
    const body = Buffer.alloc(16 * MIB - 100_000, ' ');
    // One more than is taken in: whichever comes last is refused.
    const five = await Promise.all(
      Array.from({ length: 5 }, () => open(announce('/jobs', 16 * MIB, bearer(KEY)))),
    );
    const answers = five.map((socket) => answerOn(socket));
    for (const socket of five) socket.write(body);
    const refused = await Promise.any(answers);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect((await postLarge(OTHER, MIB)).status).toBe(404);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => (await postLarge(KEY, MIB)).status === 404);
  });
  test('are asked for once their key is known', async () => {
    const body = JSON.stringify({ name: 'unknown', payload: {} });
    const expecting = { ...bearer(KEY), expect: '100-continue', connection: 'close' };
    const socket = await open(announce('/jobs', body.length, expecting));
    expect((await answerOn(socket)).status).toBe(100);
    socket.write(body);
    expect((await answerOn(socket)).status).toBe(404);
  });
});

test.each<[string, string]>([
  ['a body', `${announce('/jobs', 100, bearer(KEY))}{`],
  ['a head', 'POST /jobs HTTP/1.1\r\nhost: localhost\r\n'],
  ['nothing', ''],
])('%s that does not come in time is given up', async (_, bytes) => {
  expectProblem(await exchange(hasty.url, bytes), 408);
});

describe('what Node or Fastify refuse is problem details', () => {
  const close = { ...bearer(KEY), connection: 'close' };
  test.each<[string, number, string]>([
    ['no HTTP', 400, 'HELO there\r\n\r\n'],
    ['HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [
      'two lengths',
      400,
      head('POST /jobs', { ...close, 'content-length': '2', 'transfer-encoding': 'chunked' }),
    ],
    [
      'a broken chunk',
      400,
      `${head('POST /jobs', { ...close, ...json, 'transfer-encoding': 'chunked' })}no\r\n`,
    ],
    ['no Host', 400, `GET /jobs HTTP/1.1\r\nauthorization: Bearer ${KEY}\r\nconnection: close\r\n\r\n`],
    ['a broken URL', 400, head('GET /jobs/%', close)],
    ['a long id', 414, head(`GET /jobs/${'x'.repeat(300)}`, close)],
    ['long headers', 431, head('GET /jobs', { ...close, x: 'x'.repeat(20_000) })],
    ['a strange expectation', 417, head('GET /jobs', { ...close, expect: 'a miracle' })],
    ['a proxy', 405, head('CONNECT example.com:443', close)],
    ['an unusual method', 404, head('PURGE /jobs', close)],
    ['no path', 404, head('OPTIONS *', close)],
    ['a strange content type', 415, `${announce('/jobs', 2, { ...close, 'content-type': ';;' })}{}`],
    ['an upgrade', 401, head('GET /jobs', { connection: 'Upgrade, close', upgrade: 'websocket' })],
  ])('%s: %d', async (_, status, bytes) => {
    const answer = await exchange(api.url, bytes);
    expect(answer.status).toBe(status);
    expectProblem(answer, status);
  });
});
