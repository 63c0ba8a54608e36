import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Agent, request } from 'undici';
import { loadSettings } from '#config';
import { NonRetryableError } from '#jobs';
import { eventually } from '#testing';
import { OutboundHttp } from './outbound-http.js';
import { publicConnector, RefusedTargetError } from './public-connector.js';

const signal = new AbortController().signal;
const guarded = new OutboundHttp(loadSettings({}));
const open = new OutboundHttp(loadSettings({ ALLOW_PRIVATE_TARGETS: 'true' }));
let server: Server;
let port: number;
let connections = 0;
let answer: RequestListener = (_, response) => response.end('reached');

beforeAll(async () => {
  // On IPv4 and IPv6, so that a way around the guard would really arrive.
  server = createServer((incoming, response) => answer(incoming, response)).listen(0, '::');
  server.on('connection', () => connections++);
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  connections = 0;
});

afterAll(async () => {
  await Promise.all([guarded.onApplicationShutdown(), open.onApplicationShutdown()]);
  server.closeAllConnections();
  server.close();
});

test.each([
  '127.0.0.1',
  '2130706433',
  '0x7f.1',
  '0x7f000001',
  '017700000001',
  '127.1',
  '0',
  '0.0.0.0',
  'localhost',
  'LOCALHOST',
  '①②⑦.⓪.⓪.①',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
])('refuses http://%s/ without a connection, and would reach it if it were allowed', async (host) => {
  const url = `http://${host}:${port}/`;
  await expect(guarded.request(url, { method: 'GET', signal })).rejects.toThrow(RefusedTargetError);
  expect(connections).toBe(0);

  const { body } = await open.request(url, { method: 'GET', signal });
  expect(await body.text()).toBe('reached');
});

test.each([
  '169.254.169.254',
  '10.0.0.1',
  '192.168.0.1',
  '[fd00:ec2::254]',
  '[64:ff9b::7f00:1]',
  '[2002:7f00:1::]',
])('refuses http://%s/ over http and https, for good, and says what to do', async (host) => {
  for (const scheme of ['http', 'https']) {
    const refused = guarded.request(`${scheme}://${host}/`, { method: 'GET', signal });
    await expect(refused).rejects.toThrow(NonRetryableError);
    await expect(refused).rejects.toThrow('set ALLOW_PRIVATE_TARGETS=true');
  }
});

test.each([
  ['loopback', ['127.0.0.1']],
  ['IPv6 loopback', ['::1']],
  ['a public and a loopback address', ['192.31.7.1', '127.0.0.1']],
])('refuses a name that resolves to %s', async (_, addresses) => {
  const asked: string[] = [];
  const resolve = ((name, options, callback) => {
    asked.push(name);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options.all) callback(null, found);
    else callback(null, found.at(-1)!.address, found.at(-1)!.family);
  }) as LookupFunction;
  for (const autoSelectFamily of [true, false]) {
    const agent = new Agent({ connect: publicConnector(5_000, resolve), autoSelectFamily });
    const url = `http://harmless.example:${port}/`;
    await expect(request(url, { dispatcher: agent })).rejects.toThrow(RefusedTargetError);
    await agent.close();
  }
  // Resolved once for each connection: there is no second answer that could differ.
  expect(asked).toEqual(['harmless.example', 'harmless.example']);
  expect(connections).toBe(0);
});

test('a name that does not resolve is an ordinary failure that names the host', async () => {
  const failed = guarded.request('http://nowhere.invalid/secret-path', { method: 'GET', signal });
  await expect(failed).rejects.toThrow(/^No answer from nowhere\.invalid: .*(ENOTFOUND|EAI_AGAIN)/);
  await expect(failed).rejects.not.toThrow(NonRetryableError);
});

test('a connection that is refused on all addresses of a name says so', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  await new Promise((done) => closed.close(done));
  const failed = open.request(`http://localhost:${port}/`, { method: 'GET', signal });
  await expect(failed).rejects.toThrow(/^No answer from localhost:\d+: .*ECONNREFUSED/);
});

test('refuses credentials in a URL', async () => {
  const url = `http://user:password@localhost:${port}/`;
  const refused = open.request(url, { method: 'GET', signal });
  await expect(refused).rejects.toThrow(NonRetryableError);
  await expect(refused).rejects.not.toThrow('password@');
});

test('opens at most ten connections to one server at a time', async () => {
  let active = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  answer = (_, response) => {
    most = Math.max(most, ++active);
    waiting.push(() => {
      active--;
      response.end();
    });
  };
  const requests = Array.from({ length: 25 }, async () => {
    const options = { method: 'GET', signal: new AbortController().signal } as const;
    const { body } = await open.request(`http://127.0.0.1:${port}/`, options);
    await body.dump();
  });
  for (let served = 0; served < requests.length; served++) {
    await eventually(() => waiting.length >= Math.min(10, requests.length - served));
    waiting.shift()!();
  }
  await Promise.all(requests);
  expect(most).toBe(10);
});

test('downloads a file, and refuses one that is too large, declared or not', async () => {
  const limits = { maxBytes: 100_000, signal };
  const url = `http://127.0.0.1:${port}/`;
  answer = (_, response) => response.end(Buffer.alloc(100_000, 'x'));
  expect((await open.download(url, limits)).equals(Buffer.alloc(100_000, 'x'))).toBe(true);

  answer = (_, response) => response.setHeader('content-length', 10 ** 12).write('x');
  await expect(open.download(url, limits)).rejects.toThrow(NonRetryableError);

  let closed = false;
  answer = (_, response) => {
    const flood = setInterval(() => response.write(Buffer.alloc(65_536)), 1);
    response.on('close', () => {
      closed = true;
      clearInterval(flood);
    });
  };
  await expect(open.download(url, limits)).rejects.toThrow('larger than 100000 bytes');
  await eventually(() => closed);
});

test('a download that is aborted half-way rejects with the reason', async () => {
  const controller = new AbortController();
  const reason = new Error('time is over');
  answer = (_, response) => response.write('start', () => controller.abort(reason));
  const url = `http://127.0.0.1:${port}/`;
  await expect(open.download(url, { maxBytes: 100, signal: controller.signal })).rejects.toBe(reason);
});
