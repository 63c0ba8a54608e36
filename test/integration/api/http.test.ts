import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { AnyContract } from '#jobs';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { expectDocumented } from '../../support/documented.js';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';

const KEY = 'a-key-for-this-test-only';
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'World' };

let environment: Environment;
let database: TcpProxy;
let api: AppProcess;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  database = await givenProxy(environment.databaseUrl);
  api = await givenProcess(
    'api',
    { ...environment, databaseUrl: database.url },
    { API_KEYS: `another-key-of-the-test,${KEY}`, MAX_PAYLOAD: '65536' },
  );
  await api.ready();
});
afterAll(async () => {
  await api?.stop();
  await database?.close();
  await environment?.close();
});

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${KEY}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const { status, headers: sent } = response;
  const answer = text ? JSON.parse(text) : undefined;
  expectDocumented(method, path, status, answer);
  return { status, headers: sent, body: answer };
}

describe('Idempotency-Key', () => {
  const keyed = (key: string, payload: object = mail, headers: Record<string, string> = {}) =>
    call('POST', '/jobs', { name: 'sample.mail', payload }, { 'idempotency-key': key, ...headers });

  test('P13: a hundred concurrent requests with one key make one job', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => keyed('"once"')));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(99);
    expect((await keyed('once')).body.id).toBe(answers[0]!.body.id);
    // The same JSON value, written otherwise.
    const reversed = Object.fromEntries(Object.entries(mail).reverse());
    expect((await keyed('once', reversed)).body.id).toBe(answers[0]!.body.id);
  });
  test('P13: the same key with another payload is refused, and of another client is another key', async () => {
    const { body } = await keyed('mine');
    expect(await keyed('mine', { ...mail, subject: 'Other' })).toMatchObject({
      status: 422,
      body: { type: 'urn:warren:problem:idempotency-key-reused', detail: expect.stringContaining(body.id) },
    });
    const other = await keyed('mine', mail, { authorization: 'Bearer another-key-of-the-test' });
    expect(other.status).toBe(202);
    expect(other.body.id).not.toBe(body.id);
  });
  test.each(['""', 'with space', 'x'.repeat(256)])('%p is refused', async (key) => {
    expect((await keyed(key)).status).toBe(400);
  });
});

describe('POST /jobs', () => {
  test('accepts a job: 202, Location, the job', async () => {
    const { status, headers, body } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    expect(status).toBe(202);
    expect(headers.get('location')).toBe(`/jobs/${body.id}`);
    expect(body).toMatchObject({
      name: 'sample.mail',
      queue: 'sample-mail',
      state: 'queued',
      payload: { ...mail, text: '[redacted]' },
      attempt: 0,
      attempts: [],
    });

    const shown = await call('GET', `/jobs/${body.id}`);
    expect(shown.status).toBe(200);
    expect(shown.headers.get('retry-after')).toBe('1');
    expect(shown.body).toEqual(body);
  });

  test('takes delay, runAt and queue', async () => {
    const delayed = await call('POST', '/jobs', {
      name: 'sample.mail',
      payload: mail,
      options: { delay: '10m' },
    });
    expect(delayed.body.state).toBe('scheduled');
    expect(Date.parse(delayed.body.runAt) - Date.parse(delayed.body.createdAt)).toBe(600_000);
    const runAt = '2999-01-02T03:04:05.000Z';
    expect(
      (await call('POST', '/jobs', { name: 'sample.mail', payload: mail, options: { runAt } })).body.runAt,
    ).toBe(runAt);
    expect(
      (
        await call('POST', '/jobs', {
          name: 'sample.mail',
          payload: mail,
          options: { queue: 'sample-picture' },
        })
      ).body.queue,
    ).toBe('sample-picture');
  });

  test('makes no second job of a unique key, and answers with the first', async () => {
    const options = { unique: { key: 'welcome/ada', for: '1h' } };
    const first = await call('POST', '/jobs', { name: 'sample.mail', payload: mail, options });
    const second = await call('POST', '/jobs', { name: 'sample.mail', payload: mail, options });
    expect([first.status, second.status, second.body.id]).toEqual([202, 200, first.body.id]);
  });

  test('no replay brings a job back while another one holds its unique key', async () => {
    const options = { unique: { key: 'replayed/ada' } };
    const enqueue = async () =>
      (await call('POST', '/jobs', { name: 'sample.mail', payload: mail, options })).body.id as string;
    const first = await enqueue();
    await environment.sql(`update jobs set state = 'dead', finished_at = now() where id = $1`, [first]);
    const second = await enqueue();
    expect(await call('POST', `/jobs/${first}/replay`)).toMatchObject({
      status: 409,
      body: {
        type: 'urn:warren:problem:unique-key-held',
        holder: second,
        detail: expect.stringContaining(second),
      },
    });
    const bulk = () => call('POST', '/dead-letters/replay', { ids: [first] });
    expect((await bulk()).body).toEqual({ count: 0, leftOut: 1 });
    await call('POST', `/jobs/${second}/cancel`);
    expect((await bulk()).body).toEqual({ count: 1 });
  });

  const nested = `{"name":"sample.call","payload":{"url":"https://example.com","type":"x","data":${'['.repeat(300)}${']'.repeat(300)}}}`;
  test.each<[string, unknown, Record<string, string>, number, Record<string, unknown>]>([
    ['not JSON', '{"name":', {}, 400, {}],
    ['100,000 brackets', '['.repeat(60_000), {}, 400, {}],
    ['an empty body', '', {}, 400, {}],
    ['a __proto__ key', '{"name":"sample.mail","__proto__":{"x":1},"payload":{}}', {}, 400, {}],
    [
      'a constructor.prototype key',
      '{"name":"sample.mail","payload":{"constructor":{"prototype":{}}}}',
      {},
      400,
      {},
    ],
    [
      'another content type',
      'name=sample.mail',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      {},
    ],
    ['plain text', '{}', { 'content-type': 'text/plain' }, 415, {}],
    ['an array', [], {}, 422, { errors: [{ pointer: '', detail: expect.any(String) }] }],
    ['no name', { payload: mail }, {}, 422, { errors: [{ pointer: '/name', detail: expect.any(String) }] }],
    ['an unknown key', { name: 'sample.mail', payload: mail, priority: 9 }, {}, 422, {}],
    [
      'an unknown contract',
      { name: 'sample.mial', payload: mail },
      {},
      404,
      { detail: 'No contract is named "sample.mial"' },
    ],
    ['SQL for a name', { name: "'; drop table jobs; --", payload: mail }, {}, 404, {}],
    ['CRLF in the name', { name: 'sample.mail\r\nx: y', payload: mail }, {}, 404, {}],
    ['a name of 300 characters', { name: 'a'.repeat(300), payload: mail }, {}, 404, {}],
    ['the name of an object method', { name: 'constructor', payload: mail }, {}, 404, {}],
    [
      'no payload',
      { name: 'sample.mail' },
      {},
      422,
      { errors: [{ pointer: '/payload', detail: expect.any(String) }] },
    ],
    [
      'a payload that does not fit',
      { name: 'sample.picture', payload: { source: 'x.png', widths: [100, 0] } },
      {},
      422,
      { errors: [{ pointer: '/payload/widths/1', detail: expect.any(String) }] },
    ],
    ['a payload nested too deeply', nested, {}, 422, { detail: expect.stringContaining('200 levels') }],
    [
      'a delay without a unit',
      { name: 'sample.mail', payload: mail, options: { delay: '10' } },
      {},
      422,
      {
        errors: [{ pointer: '/options/delay', detail: expect.stringContaining('such as 500ms') }],
      },
    ],
    [
      'delay and runAt',
      { name: 'sample.mail', payload: mail, options: { delay: 1, runAt: '2999-01-02T03:04:05Z' } },
      {},
      422,
      {},
    ],
    [
      'a queue that no contract has',
      { name: 'sample.mail', payload: mail, options: { queue: 'nowhere' } },
      {},
      422,
      { errors: [{ pointer: '/options/queue', detail: expect.any(String) }] },
    ],
    [
      'a following job that does not fit',
      {
        name: 'sample.mail',
        payload: mail,
        options: { next: { name: 'sample.mail', payload: { ...mail, to: 'x' } } },
      },
      {},
      422,
      { errors: [{ pointer: '/options/next/payload/to', detail: expect.any(String) }] },
    ],
    [
      'a chain of 101 jobs',
      {
        name: 'sample.mail',
        payload: mail,
        options: {
          next: Array.from({ length: 101 }).reduce(
            (next) => ({ name: 'sample.mail', payload: mail, options: { next } }),
            undefined,
          ),
        },
      },
      {},
      422,
      {
        errors: [{ pointer: expect.stringMatching(/next$/), detail: expect.stringContaining('at most 100') }],
      },
    ],
    [
      'unique together with an Idempotency-Key',
      { name: 'sample.mail', payload: mail, options: { unique: { key: 'x' } } },
      { 'idempotency-key': 'y' },
      422,
      { errors: [{ pointer: '/options/unique', detail: expect.any(String) }] },
    ],
    [
      'a payload over MAX_PAYLOAD',
      { name: 'sample.mail', payload: { ...mail, text: 'x'.repeat(66_000) } },
      {},
      413,
      {},
    ],
  ])('refuses %s with problem details', async (_, body, extra, status, problem) => {
    const answer = await call('POST', '/jobs', body, { 'content-type': 'application/json', ...extra });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.body).toMatchObject({
      status,
      type: expect.any(String),
      title: expect.any(String),
      instance: '/jobs',
      ...problem,
    });
    expect(answer.status).toBe(status);
  });

  test('refuses 2 MiB by its length, before reading it', async () => {
    const { port, hostname } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 2097152\r\n\r\n{`,
    );
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 [\s\S]*application\/problem\+json/);
    socket.destroy();
  });

  test('refuses a body that is not UTF-8, rather than accept another payload than was sent', async () => {
    const body = Buffer.from(
      JSON.stringify({ name: 'sample.mail', payload: { ...mail, subject: '\u00ff' } }),
      'latin1',
    );
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const response = await fetch(`${api.url}/jobs`, { method: 'POST', headers, body });
    expect(await response.json()).toMatchObject({ status: 400, detail: 'The body is not UTF-8' });
  });

  test('goes on after all of that', async () => {
    expect((await call('POST', '/jobs', { name: 'sample.mail', payload: mail })).status).toBe(202);
  });
});

describe('GET /jobs', () => {
  test('pages through jobs, newest first, and filters', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      const { body } = await call('POST', '/jobs', { name: 'sample.flaky', payload: { failures: 0 } });
      ids.unshift(body.id as string);
      expect(body.state).toBe('queued');
    }
    const seen: string[] = [];
    let path = '/jobs?name=sample.flaky&queue=sample-flaky&state=queued&limit=2';
    for (;;) {
      const { body } = await call('GET', path);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      if (!body.next) break;
      path = `/jobs?name=sample.flaky&queue=sample-flaky&state=queued&limit=2&cursor=${body.next}`;
    }
    expect(seen).toEqual(ids);
  });

  test.each(['state=asleep', 'limit=0', 'limit=1001', 'limit=x', 'cursor=nonsense', 'order=asc', 'name=%00'])(
    'refuses ?%s',
    async (query) => {
      const { status, body } = await call('GET', `/jobs?${query}`);
      expect(status).toBe(400);
      expect(body.errors).toHaveLength(1);
    },
  );

  test.each(['no-uuid', '01890a5d-ac96-774b-bcce-b302099a8057', "x'; drop table jobs; --"])(
    'knows no job %s',
    async (id) => {
      expect((await call('GET', `/jobs/${encodeURIComponent(id)}`)).status).toBe(404);
    },
  );
});

describe('GET /jobs/{id}/log', () => {
  /** So many lines in each attempt, with texts of so many characters. */
  async function givenLog(attempts: number, lines: number, length: number): Promise<string> {
    const { body } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    await environment.sql(
      `insert into job_logs (job, claim, line, attempt, at, level, message, fields)
       select $1, a, n, a, now(), 'warn', a || '.' || n || repeat(' ', $4), '{"rows": 1, "odd": "\\u0000"}'
       from generate_series(1, $2) a cross join generate_series(1, $3) n`,
      [body.id, attempts, lines, length],
    );
    return body.id;
  }
  const read = async (path: string) =>
    (await call('GET', path)).body.items.map(({ message }: { message: string }) => message.trim());

  test('has the lines of all attempts, oldest first, or those of one', async () => {
    const id = await givenLog(2, 3, 0);
    const { status, body } = await call('GET', `/jobs/${id}/log`);
    expect(status).toBe(200);
    expect(body.items[0]).toEqual({
      ...{ at: expect.any(String), attempt: 1, level: 'warn', message: '1.1' },
      fields: { rows: 1, odd: '\0' },
    });
    expect(await read(`/jobs/${id}/log`)).toEqual(['1.1', '1.2', '1.3', '2.1', '2.2', '2.3']);
    expect(await read(`/jobs/${id}/log?attempt=2`)).toEqual(['2.1', '2.2', '2.3']);
    expect(await read(`/jobs/${id}/log?attempt=3`)).toEqual([]);
  });

  test('P15: has the newest 1,000 lines, or 1 MiB, at most', async () => {
    const many = await read(`/jobs/${await givenLog(6, 200, 0)}/log`);
    expect([many.length, many[0], many.at(-1)]).toEqual([1_000, '2.1', '6.200']);
    const long = await read(`/jobs/${await givenLog(3, 10, 60_000)}/log`);
    expect([long.length, long.at(-1)]).toEqual([17, '3.10']);
  });

  test('is of no job that is none, and of no attempt that is none', async () => {
    for (const id of ['no-uuid', randomUUID()])
      expect((await call('GET', `/jobs/${id}/log`)).status).toBe(404);
    const id = await givenLog(1, 1, 0);
    for (const query of ['attempt=0', 'attempt=x', 'attempt=1e99', 'line=1'])
      expect((await call('GET', `/jobs/${id}/log?${query}`)).status).toBe(400);
  });
});

describe('Tags and payloads', () => {
  const enqueue = async (subject: string, options: object, text = 'World') =>
    (await call('POST', '/jobs', { name: 'sample.mail', payload: { ...mail, subject, text }, options })).body;
  const idsOf = async (query: string) =>
    (await call('GET', `/jobs?${query}`)).body.items.map(({ id }: { id: string }) => id);

  test('jobs are found by a tag, and counted by their tags, and what follows them has these, too', async () => {
    const next = { name: 'sample.report', payload: { from: '2026-01-01', to: '2026-01-02' } };
    const tags = ['tenant:zoë', 'two words', 'two words'];
    const job = await enqueue('tagged', { tags, next });
    expect(job.tags).toEqual(['tenant:zoë', 'two words']);
    const other = await enqueue('tagged', { tags: ['tenant:zoë'] });
    expect(await idsOf(`tag=${encodeURIComponent('tenant:zoë')}`)).toEqual([other.id, job.id]);
    expect(await idsOf('tag=two+words&name=sample.mail')).toEqual([job.id]);
    expect(await idsOf('tag=two')).toEqual([]);
    const [kept] = await environment.sql(`select next -> 'tags' as tags from jobs where id = '${job.id}'`);
    expect(kept).toEqual({ tags: ['tenant:zoë', 'two words'] });
    const { items, lookedBackTo } = (await call('GET', '/tags')).body;
    expect(items.slice(0, 2)).toEqual([
      { tag: 'tenant:zoë', count: 2 },
      { tag: 'two words', count: 1 },
    ]);
    expect(lookedBackTo).toBeNull();
  });

  test.each([
    [['x'.repeat(101)], '/options/tags/0'],
    [[' x'], '/options/tags/0'],
    [['a', 'b\n'], '/options/tags/1'],
    [['a', 'b\u0000'], '/options/tags/1'],
    [[''], '/options/tags/0'],
    [Array.from({ length: 11 }, (_, tag) => `${tag}`), '/options/tags'],
  ])('%j are no tags', async (tags, pointer) => {
    const { status, body } = await call('POST', '/jobs', {
      name: 'sample.mail',
      payload: mail,
      options: { tags },
    });
    expect([status, body.errors[0].pointer]).toEqual([422, pointer]);
  });

  test('jobs are found by what their payload has at a place, but for secrets', async () => {
    const job = await enqueue('a/b:~c', {}, 'hush');
    expect(await idsOf('where=/subject:a/b:~c')).toEqual([job.id]);
    expect(await idsOf('where=/subject:a/b')).toEqual([]);
    expect(await idsOf('where=/text:hush')).toEqual([]);
    expect((await call('GET', '/jobs?where=/password:hush')).status).toBe(422);
    const picture = { source: 'x', widths: [7, 8] };
    const { body } = await call('POST', '/jobs', { name: 'sample.picture', payload: picture });
    expect(await idsOf('where=/widths/1:8&queue=sample-picture')).toEqual([body.id]);
    expect((await call('GET', '/jobs?where=subject')).status).toBe(400);
  });
});

describe('POST /jobs/{id}/cancel', () => {
  test('P10: cancels a job that does not run yet, once and for all', async () => {
    const { body: job } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    const cancelled = await call('POST', `/jobs/${job.id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { id: job.id, state: 'cancelled' } });
    expect((await call('POST', `/jobs/${job.id}/cancel`)).status).toBe(200);
  });

  test('answers 200 for a job that runs, which is told; 409 for one that has ended, and 404 for one that is none', async () => {
    const { body: job } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    await environment.sql(`update jobs set state = 'running' where id = $1`, [job.id]);
    expect(await call('POST', `/jobs/${job.id}/cancel`)).toMatchObject({
      status: 200,
      body: { state: 'running', cancelRequestedAt: expect.any(String) },
    });
    await environment.sql(`update jobs set state = 'succeeded', finished_at = now() where id = $1`, [job.id]);
    expect(await call('POST', `/jobs/${job.id}/cancel`)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('succeeded') },
    });
    expect((await call('POST', '/jobs/01890a5d-ac96-774b-bcce-b302099a8057/cancel')).status).toBe(404);
  });
});

describe('dead letters', () => {
  const attemptsOf = (attempt: number, message: string) => {
    const at = new Date().toISOString();
    const error = { message, class: 'Error', stack: null };
    return JSON.stringify([
      { attempt, claim: 1, outcome: 'failed', worker: 'w', startedAt: at, finishedAt: at, error },
    ]);
  };
  async function givenDead(): Promise<string> {
    const { body: job } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    await environment.sql(
      `update jobs set state = 'dead', attempt = 5, crashes = 1, finished_at = now(), publish_at = null,
         error_form = 'Mailbox FULL #%', attempts = $2::jsonb where id = $1`,
      [job.id, attemptsOf(5, 'Mailbox FULL 100%')],
    );
    return job.id;
  }

  test('P12: one is replayed with attempts counted from zero, or discarded; what is not dead is refused', async () => {
    const [replayed, discarded] = [await givenDead(), await givenDead()];
    expect(await call('POST', `/jobs/${replayed}/replay`)).toMatchObject({
      status: 200,
      body: { state: 'queued', attempt: 0, finishedAt: null },
    });
    expect(await call('POST', `/jobs/${discarded}/discard`)).toMatchObject({ body: { state: 'discarded' } });
    for (const id of [replayed, discarded])
      expect((await call('POST', `/jobs/${id}/replay`)).status).toBe(409);
  });
  test('P12: many are replayed or discarded by a filter, and counted', async () => {
    const ids = [await givenDead(), await givenDead(), await givenDead()];
    const replay = (body: object) => call('POST', '/dead-letters/replay', body);
    expect((await replay({ error: 'mailbox_full' })).body).toEqual({ count: 0 });
    expect((await replay({ ids: ids.slice(0, 1), error: 'full 100%' })).body).toEqual({ count: 1 });
    expect((await replay({ queue: 'sample-picture' })).body).toEqual({ count: 0 });
    expect((await call('POST', '/dead-letters/discard', { name: 'sample.mail' })).body).toEqual({ count: 2 });
    expect((await replay({ everything: true })).status).toBe(422);
  });
  test('P12: what they died of is counted, and a group is a filter', async () => {
    const [first] = [await givenDead(), await givenDead()];
    await environment.sql(
      `update jobs set attempts = $2::jsonb,
         error_form = 'user # is gone', finished_at = '2020-01-02T03:04:05Z' where id = $1`,
      [first, attemptsOf(5, 'user 17 is gone')],
    );
    const { body } = await call('GET', '/dead-letters?queue=sample-mail');
    expect(body).toMatchObject({
      count: 2,
      groups: [
        { errorForm: 'Mailbox FULL #%', count: 1 },
        { errorForm: 'user # is gone', example: first },
      ],
    });
    const { queue, name, errorForm } = body.groups[1];
    const group = { queue, name, errorForm, to: '2021-01-01T00:00:00Z', perSecond: 10 };
    expect((await call('GET', '/dead-letters?to=2021-01-01T00:00:00Z')).body.count).toBe(1);
    expect((await call('POST', '/dead-letters/replay', group)).body).toEqual({ count: 1 });
    expect((await call('GET', `/jobs/${first}`)).body.state).toBe('queued');
    expect((await call('POST', '/dead-letters/discard', { from: '2021-01-01T00:00:00Z' })).body).toEqual({
      count: 1,
    });
  });
  test('P12: an unprocessable message is listed, shown, replayed and discarded like any dead letter', async () => {
    const ids = Array.from({ length: 3 }, () => randomUUID());
    for (const [n, id] of ids.entries()) {
      await environment.sql(
        `insert into jobs (id, name, queue, state, max_attempts, attempt, run_at, finished_at, error_form, attempts)
         values ($1, 'unknown', 'sample-mail', 'dead', 1, 1, now(), now(), 'the body is not valid JSON', $2::jsonb)`,
        [id, attemptsOf(1, 'the body is not valid JSON')],
      );
      await environment.sql(
        `insert into unprocessable_messages values ($1, $2, 'sample.mail', '{"messageId": "x"}',
           '{"a": "\\u0000", "authorization": "Bearer x"}', '\\xff0041')`,
        [id, String(n)],
      );
    }
    const { body } = await call('GET', '/jobs?state=dead&name=unknown&limit=2');
    const rest = (await call('GET', `/jobs?state=dead&name=unknown&cursor=${body.next}`)).body;
    expect([...body.items, ...rest.items].map(({ id }) => id)).toEqual(ids.toReversed());
    expect((await call('GET', '/jobs?state=dead&cursor=x')).status).toBe(400);
    expect((await call('GET', '/dead-letters?queue=sample-mail&name=unknown')).body.groups).toMatchObject([
      { count: 3, errorForm: 'the body is not valid JSON' },
    ]);

    const letter = await call('GET', `/dead-letters/${ids[0]}`);
    expect(letter.body).toMatchObject({ id: ids[0], state: 'dead', payload: null });
    expect(letter.body.message).toEqual({
      properties: { messageId: 'x' },
      headers: { a: '\0', authorization: '[redacted]' },
      size: 3,
      body: 'ff0041',
      encoding: 'hex',
    });
    for (const id of [randomUUID(), 'x']) expect((await call('GET', `/dead-letters/${id}`)).status).toBe(404);

    const act = (action: string, which: object) => call('POST', `/dead-letters/${action}`, which);
    expect((await act('discard', { ids: ['x'] })).status).toBe(422);
    expect((await act('discard', { ids: [ids[0]] })).body).toEqual({ count: 1 });
    expect((await call('GET', `/dead-letters/${ids[0]}`)).status).toBe(404);
    expect((await act('replay', { name: 'unknown' })).body).toEqual({ count: 2 });
    expect((await call('GET', `/jobs/${ids[1]}`)).body.state).toBe('queued');
    await environment.sql(`delete from jobs where name = 'unknown'`);
  });
});

describe('POST /jobs/{id}/rerun', () => {
  const next = { name: 'sample.report', payload: { from: '2026-01-01', to: '2026-01-02' } };
  async function givenEnded(): Promise<string> {
    const options = { tags: ['again'], next, unique: { key: 'k' } };
    const { body: job } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail, options });
    await call('POST', `/jobs/${job.id}/cancel`);
    return job.id;
  }

  test('makes a new job of one that has ended, with its options and without its key', async () => {
    const id = await givenEnded();
    const { status, headers, body } = await call('POST', `/jobs/${id}/rerun`);
    expect([status, headers.get('location')]).toEqual([202, `/jobs/${body.id}`]);
    expect(body).toMatchObject({ rerunOf: id, state: 'queued', tags: ['again'], payload: { to: mail.to } });
    const [{ next: before }, { next: after }] = [(await call('GET', `/jobs/${id}`)).body, body];
    expect(after).toEqual(expect.any(String));
    expect(after).not.toBe(before);
    expect(await environment.sql(`select payload from jobs where id = '${body.id}'`)).toEqual([
      { payload: mail },
    ]);

    expect(await call('POST', `/jobs/${body.id}/rerun`)).toMatchObject({ status: 409 });
    expect((await call('POST', `/jobs/${randomUUID()}/rerun`)).status).toBe(404);
  });

  test('takes another payload, or a patch of it, which the contract checks; what was not shown stays', async () => {
    const id = await givenEnded();
    const shown = (await call('GET', `/jobs/${id}`)).body.payload;
    const rerun = (body: object) => call('POST', `/jobs/${id}/rerun`, body);
    expect(await rerun({ payload: { ...shown, to: 'nobody' } })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/payload/to' }] },
    });
    expect((await rerun({ payload: shown, patch: {} })).status).toBe(422);
    const { body } = await rerun({ payload: { ...shown, to: 'eve@example.com' } });
    const { body: patched } = await rerun({ patch: { to: 'bob@example.com' } });
    const rows = await environment.sql('select payload from jobs where id = any($1) order by id', [
      [body.id, patched.id],
    ]);
    expect(rows.map(({ payload }) => payload)).toEqual([
      { ...mail, to: 'eve@example.com' },
      { ...mail, to: 'bob@example.com' },
    ]);
    expect((await call('GET', `/jobs/${id}`)).body.payload.to).toBe(mail.to);
  });

  test('a dead letter is replayed edited, with what it was enqueued with beside that, and an audit line without it', async () => {
    const { body: job } = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
    await environment.sql(
      `update jobs set state = 'dead', publish_at = null, finished_at = now() where id = $1`,
      [job.id],
    );
    const replay = (body: object) => call('POST', '/dead-letters/replay', { ids: [job.id], ...body });
    expect((await replay({ payload: { to: 7 } })).body.errors[0].pointer).toBe('/payload/to');
    const many = { name: 'sample.mail', payload: mail };
    expect((await call('POST', '/dead-letters/replay', many)).status).toBe(422);
    expect((await replay({ payload: { ...job.payload, to: 'eve@example.com' } })).body).toEqual({ count: 1 });
    expect((await call('GET', `/jobs/${job.id}`)).body).toMatchObject({
      ...{ state: 'queued', payload: { to: 'eve@example.com' } },
      originalPayload: { to: mail.to, text: '[redacted]' },
    });
    const lines = await environment.sql<{ subject: string; count: number }>(
      'select subject, count from audit order by id desc limit 3',
    );
    expect(lines[0]).toEqual({ subject: JSON.stringify({ ids: [job.id], edited: true }), count: 1 });
    expect(JSON.stringify(lines)).not.toContain('eve@example.com');
  });
});

describe('Many jobs', () => {
  const enqueue = async (tag: string, options: object = {}, to = mail.to): Promise<string> => {
    const body = { name: 'sample.mail', payload: { ...mail, to }, options: { tags: [tag], ...options } };
    return (await call('POST', '/jobs', body)).body.id;
  };
  const stateOf = async (id: string) => (await call('GET', `/jobs/${id}`)).body.state;
  const many = async (action: string, body: object) => (await call('POST', `/jobs/${action}`, body)).body;

  test('are cancelled by a filter, and never all of them by none', async () => {
    const ids = [await enqueue('many'), await enqueue('many', { delay: '1h' }), await enqueue('few')];
    expect((await call('POST', '/jobs/cancel', {})).status).toBe(422);
    expect((await call('POST', '/jobs/cancel', { tags: 'many' })).status).toBe(422);
    expect(await many('cancel', { tag: 'many', to: '2020-01-01T00:00:00Z' })).toEqual({ count: 0 });
    expect(await many('cancel', { tag: 'many', state: 'scheduled' })).toEqual({ count: 1 });
    expect(await many('cancel', { tag: 'many' })).toEqual({ count: 1 });
    expect(await Promise.all(ids.map(stateOf))).toEqual(['cancelled', 'cancelled', 'queued']);
  });

  test('are rescheduled by a filter, so many to each second', async () => {
    for (let n = 0; n < 3; n++) await enqueue('later', { delay: '1h' });
    const runAt = '2027-01-31T09:00:00.000Z';
    expect((await call('POST', '/jobs/reschedule', { tag: 'later' })).status).toBe(422);
    expect(await many('reschedule', { tag: 'later', runAt, perSecond: 2 })).toEqual({ count: 3 });
    const { body } = await call('GET', '/jobs?tag=later');
    const times = body.items.map((job: { runAt: string }) => job.runAt);
    expect(times).toEqual(['2027-01-31T09:00:01.000Z', runAt, runAt]);
  });

  test('are enqueued again by a filter, patched, but for those that were before and those that then do not fit', async () => {
    const [job, misfit] = [await enqueue('rerun', {}, 'x@example.com'), await enqueue('rerun')];
    await many('cancel', { tag: 'rerun' });
    await environment.sql(`update jobs set payload = '{"to": "x@example.com"}' where id = $1`, [misfit]);
    const filter = { tag: 'rerun', state: 'cancelled', where: '/to:x@example.com' };
    const body = { ...filter, patch: { to: 'y@example.com' }, perSecond: 50 };
    expect(await many('rerun', body)).toEqual({ count: 1, leftOut: 1 });
    expect(await many('rerun', body)).toEqual({ count: 0, leftOut: 1 });
    const { items } = (await call('GET', '/jobs?tag=rerun&where=/to:y@example.com')).body;
    expect(items.map(({ rerunOf }: { rerunOf: string }) => rerunOf)).toEqual([job]);
    expect((await call('POST', '/jobs/rerun', { patch: {} })).status).toBe(422);
  });
});

describe('POST /jobs/{id}/reschedule', () => {
  test('moves a scheduled job to another time, and refuses one that is not scheduled', async () => {
    const body = { name: 'sample.mail', payload: mail, options: { delay: '1h' } };
    const { body: job } = await call('POST', '/jobs', body);
    const runAt = '2030-01-02T03:04:05.000Z';
    expect(await call('POST', `/jobs/${job.id}/reschedule`, { runAt })).toMatchObject({ body: { runAt } });
    expect((await call('POST', `/jobs/${job.id}/reschedule`, { runAt, delay: 1 })).status).toBe(422);
    await call('POST', `/jobs/${job.id}/cancel`);
    expect((await call('POST', `/jobs/${job.id}/reschedule`, { delay: '1s' })).status).toBe(409);
  });
});

describe('API keys', () => {
  test.each([
    ['none', {}],
    ['a wrong one', { authorization: 'Bearer wrong' }],
    ['a prefix of one', { authorization: `Bearer ${KEY.slice(0, -1)}` }],
    ['one by another scheme', { authorization: `Basic ${KEY}` }],
  ])('are asked for: %s', async (_, headers) => {
    const response = await fetch(`${api.url}/jobs`, { headers });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  });
  test('each of several works', async () => {
    const response = await fetch(`${api.url}/jobs`, {
      headers: { authorization: 'Bearer another-key-of-the-test' },
    });
    expect(response.status).toBe(200);
  });
  test('are not asked for by health checks, but for the OpenAPI document', async () => {
    expect((await fetch(`${api.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${api.url}/health/ready`)).status).toBe(200);
    expect((await fetch(`${api.url}/openapi.json`)).status).toBe(401);
  });
  test('the page to try the api on takes one as a password, too; nothing else does', async () => {
    const basic = (key: string) => ({ authorization: `Basic ${btoa(`anyone:${key}`)}` });
    for (const path of ['/docs', '/docs/', '/docs/swagger-ui-init.js', '/docs/swagger-ui-bundle.js']) {
      const open = (headers: Record<string, string>) => fetch(`${api.url}${path}`, { headers });
      const refused = await open({});
      expect([path, refused.status, refused.headers.get('www-authenticate')]).toEqual([
        ...[path, 401],
        expect.stringContaining('Basic realm='),
      ]);
      expect((await open(basic('wrong'))).status).toBe(401);
      const page = await open(basic(KEY));
      expect([path, page.status]).toEqual([path, 200]);
      expect(page.headers.get('content-security-policy')).toContain("script-src 'self';");
      expect(page.headers.get('x-content-type-options')).toBe('nosniff');
      expect((await open({ authorization: `Bearer ${KEY}` })).status).toBe(200);
    }
    const jobs = await fetch(`${api.url}/jobs`, { headers: basic(KEY) });
    expect([jobs.status, jobs.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  });
  test('in production the api does not start without', async () => {
    const production = await givenProcess('api', environment, { NODE_ENV: 'production' });
    expect(await once(production.child, 'exit')).toEqual([1, null]);
    expect(production.output()).toContain('API_KEYS is not set and NODE_ENV is production');
  });
  test('without them the api listens on loopback only', async () => {
    const open = await (await givenProcess('api', environment)).ready();
    await eventually(() => open.output().includes('listens on http://127.0.0.1:'));
    expect((await fetch(`${open.url}/jobs`)).status).toBe(200);
    expect(await open.stop()).toBe(0);
  });
  test('wrong settings are named all at once', async () => {
    const wrong = await givenProcess(
      'api',
      { ...environment, rabbitmqUrl: 'http://x' },
      { API_KEYS: 'short', LOG_LEVEL: 'loud' },
    );
    expect(await once(wrong.child, 'exit')).toEqual([1, null]);
    for (const name of ['RABBITMQ_URL', 'API_KEYS', 'LOG_LEVEL'])
      expect(wrong.output()).toContain(`  ${name}: `);
    expect(wrong.output()).not.toContain('short');
  });
});

test('every error is problem details, also where there is no route', async () => {
  const { status, body } = await call('GET', '/nowhere?secret=1');
  expect([status, body]).toEqual([
    404,
    {
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: expect.any(String),
      instance: '/nowhere',
    },
  ]);
});

test.each([
  ['a broken escape', '/jobs/%', 400],
  ['a very long id', `/jobs/${'a'.repeat(500)}`, 414],
])('a URL with %s gives problem details too', async (_, path, status) => {
  const { headers, body } = await call('GET', path);
  expect(headers.get('content-type')).toContain('application/problem+json');
  expect(body).toMatchObject({ status, instance: path });
});

test('OpenAPI describes every call and the payload of every contract', async () => {
  const { body } = await call('GET', '/openapi.json');
  // Beside those of a clone's own, and of what can be taken out.
  const paths = [
    '/batches',
    '/batches/{id}',
    '/batches/{id}/cancel',
    '/dead-letters',
    '/dead-letters/discard',
    '/dead-letters/replay',
    '/dead-letters/{id}',
    '/health/live',
    '/health/ready',
    '/jobs',
    '/jobs/{id}',
    '/jobs/{id}/cancel',
    '/jobs/{id}/discard',
    '/jobs/{id}/events',
    '/jobs/{id}/replay',
    '/jobs/{id}/reschedule',
    '/metrics',
    '/queues',
    '/queues/{queue}/pause',
    '/queues/{queue}/resume',
    '/workers',
  ];
  expect(Object.keys(body.paths)).toEqual(expect.arrayContaining(paths));
  const { oneOf } = body.paths['/jobs'].post.requestBody.content['application/json'].schema;
  expect(oneOf.map(({ title }: { title: string }) => title).sort()).toEqual(
    Object.values<AnyContract>(contracts)
      .map(({ name }) => name)
      .sort(),
  );
});

test('GET /queues counts by state, and says since when the oldest job waits', async () => {
  const { body } = await call('GET', '/queues');
  expect(body.items).toContainEqual({
    queue: 'sample-flaky',
    scheduled: 0,
    queued: 5,
    ready: 5,
    oldestWaiting: expect.stringMatching(/^20.+Z$/),
    paused: false,
    consumers: 0,
    advice: '5 jobs wait, and no worker takes them: start one that serves this queue (WORKER_QUEUES)',
    running: 0,
    retrying: 0,
    dead: 0,
  });
});

test('P16: a queue that no contract has any more is listed with what to do, and can be paused and resumed', async () => {
  await environment.sql(
    `insert into jobs (id, name, queue, state, max_attempts, run_at) values
      ('01890a5d-ac96-774b-bcce-b302099a8057', 'sample.mail', 'mail-before', 'queued', 1, now())`,
  );
  const change = (action: string) => call('POST', `/queues/mail-before/${action}`);
  await eventually(async () => (await change('pause')).status === 200);
  const listed = async () =>
    (await call('GET', '/queues')).body.items.find(({ queue }: { queue: string }) => queue === 'mail-before');
  expect(await listed()).toMatchObject({
    ready: 1,
    paused: true,
    advice: expect.stringMatching(/^1 job waits, and no worker takes them: no contract has this queue/),
  });
  expect((await change('resume')).body).toMatchObject({ queue: 'mail-before', paused: false });
  expect((await call('POST', '/queues/no-such-queue/pause')).status).toBe(404);
});

test('P2: with the database down the api answers 503 with Retry-After, is not ready but live, and recovers', async () => {
  database.cut();
  const answer = await call('POST', '/jobs', { name: 'sample.mail', payload: mail });
  expect(answer).toMatchObject({
    status: 503,
    body: { type: expect.stringContaining('not-now'), status: 503 },
  });
  expect(answer.headers.get('retry-after')).toBe('5');
  expect((await call('GET', '/health/ready')).status).toBe(503);
  expect((await call('GET', '/health/live')).status).toBe(200);
  database.mend();
  await eventually(
    async () => (await call('POST', '/jobs', { name: 'sample.mail', payload: mail })).status === 202,
  );
  expect((await call('GET', '/health/ready')).status).toBe(200);
});

describe('POST /jobs/bulk', () => {
  const bulk = (jobs: object[], headers = {}) => call('POST', '/jobs/bulk', { jobs }, headers);
  const aMail = { name: 'sample.mail', payload: mail };
  const aFlaky = { name: 'sample.flaky', payload: { failures: 0 } };
  const recorded = async () => (await environment.sql('select from jobs')).length;

  test('accepts jobs of several contracts, each with its options, in the order given', async () => {
    const own = { retry: { attempts: 8, first: '5s', jitter: 0.2 }, timeout: '2m', startWithin: '1h' };
    const next = { ...aFlaky, options: { retry: ['1s'] } };
    const late = { ...aMail, options: { delay: '10m', ...own, next } };
    const { status, body } = await bulk([aMail, aFlaky, late]);
    expect(status).toBe(202);
    const { items } = body as unknown as { items: { id: string; state: string }[] };
    expect(items.map(({ state }) => state)).toEqual(['queued', 'queued', 'scheduled']);
    const shown = await Promise.all(items.map(({ id }) => call('GET', `/jobs/${id}`)));
    expect(shown.map(({ body }) => [body.name, body.state])).toEqual([
      ['sample.mail', 'queued'],
      ['sample.flaky', 'queued'],
      ['sample.mail', 'scheduled'],
    ]);
    expect(shown[2]!.body).toMatchObject({ maxAttempts: 8 });
  });

  test('accepts all or none, and says which do not fit and where', async () => {
    const before = await recorded();
    const unfit = { name: 'sample.mail', payload: { ...mail, to: 'nobody' } };
    const refused = await bulk([aMail, unfit, aFlaky, { name: 'sample.flaky', payload: 7 }]);
    expect(refused.status).toBe(422);
    const pointers = (answer: { body: object }) =>
      (answer.body as { errors: { pointer: string }[] }).errors.map(({ pointer }) => pointer);
    expect(pointers(refused)).toEqual(['/jobs/1/payload/to', '/jobs/3/payload']);
    for (const [bad, pointer] of [
      [{ name: 'none.such', payload: 1 }, '/jobs/1/name'],
      [{ ...aMail, options: { queue: 'none' } }, '/jobs/1/options/queue'],
      [{ ...aMail, options: { priority: 'high' } }, '/jobs/1/options/priority'],
      [{ ...aMail, options: { delay: 'soon' } }, '/jobs/1/options/delay'],
      [{ ...aMail, options: { retry: '5s' } }, '/jobs/1/options/retry'],
      [{ ...aMail, options: { retry: ['soon'] } }, '/jobs/1/options/retry'],
      [{ ...aMail, options: { retry: { attempts: 3 } } }, '/jobs/1/options/retry'],
      [{ ...aMail, options: { retry: { attempts: 0, first: '5s' } } }, '/jobs/1/options/retry'],
      [{ ...aMail, options: { timeout: '25d' } }, '/jobs/1/options/timeout'],
      [{ ...aMail, options: { startWithin: 0 } }, '/jobs/1/options/startWithin'],
      [{ ...aMail, options: { next: { name: 'none.such', payload: 1 } } }, '/jobs/1/options/next/name'],
    ] as const) {
      const answer = await bulk([aMail, bad]);
      expect([answer.status, ...pointers(answer)]).toEqual([422, pointer]);
    }
    for (const jobs of [[], Array(10_001).fill(aFlaky)]) expect((await bulk(jobs)).status).toBe(422);
    expect((await bulk([aMail], { 'idempotency-key': 'x' })).status).toBe(422);
    expect(await recorded()).toBe(before);
  });

  test('P13: a unique key makes one job, also of two in one request', async () => {
    const unique = { ...aMail, options: { unique: { key: 'in-bulk' } } };
    const before = await recorded();
    const answers = await Promise.all([
      bulk([unique, aFlaky, unique]),
      bulk([unique]),
      bulk([aFlaky, unique]),
    ]);
    const ids = answers.flatMap(({ body }) => (body as unknown as { items: { id: string }[] }).items);
    expect(new Set([0, 2, 3, 5].map((index) => ids[index]!.id)).size).toBe(1);
    expect(await recorded()).toBe(before + 3);
  });

  test('takes 10,000', async () => {
    const before = await recorded();
    const { status, body } = await bulk(Array(10_000).fill(aFlaky));
    expect([status, (body as unknown as { items: object[] }).items.length]).toEqual([202, 10_000]);
    expect(await recorded()).toBe(before + 10_000);
  });
});
