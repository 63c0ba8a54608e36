import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import * as contracts from '#contracts';
import { type RouteAccess, scopeOf } from '#http';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { ApiModule } from '../../../apps/api/src/api.module.js';

const keys = {
  plain: 'a-key-for-this-test-only',
  producer: 'the-key-of-the-producer',
  reader: 'the-key-of-the-reader',
  operator: 'the-key-of-the-operator',
  /** For some contracts only. */
  mailer: 'the-key-of-the-mailer',
};
const API_KEYS = [
  keys.plain,
  `enqueue:producer:${keys.producer}`,
  `read:reader:${keys.reader}`,
  `operate:operator:${keys.operator}`,
  `enqueue+operate:mailer:sample.m*+sample.nightly:${keys.mailer}`,
].join(',');
const payload = { to: 'ada@example.com', subject: 'Hello', text: 'World' };
const mail = { name: 'sample.mail', payload };
const batch = { name: 'sample.mail', payloads: [payload] };
const picture = { name: 'sample.picture', payload: { source: 'a.png', widths: [10] } };

let environment: Environment;
let api: AppProcess;
const before = { ...process.env };

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  api = await givenProcess('api', environment, { API_KEYS });
  await api.ready();
});
afterAll(async () => {
  process.env = before;
  await api?.stop();
  await environment?.close();
});

type Who = keyof typeof keys;
async function call(who: Who, method: string, path: string, body?: unknown, headers = {}) {
  const answer = await fetch(`${api.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${keys[who]}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.includes('json') && text !== '';
  return { status: answer.status, body: isJson ? JSON.parse(text) : undefined };
}
const enqueue = async (job: object, options = {}): Promise<string> =>
  (await call('plain', 'POST', '/jobs', { ...job, options })).body.id;
const dead = async (job: object): Promise<string> => {
  const id = await enqueue(job);
  await environment.sql(`update jobs set state = 'dead', finished_at = now() where id = $1`, [id]);
  return id;
};

test('every route says which scope it takes, and for keys of some contracts which ones it concerns', async () => {
  Object.assign(process.env, {
    ...{ DATABASE_URL: environment.databaseUrl, RABBITMQ_URL: environment.rabbitmqUrl },
    ...{ API_KEYS, DASHBOARD_USERS: '' },
  });
  const adapter = new FastifyAdapter();
  const routes: { method: string; url: string; config?: RouteAccess & { isPublic?: boolean } }[] = [];
  adapter.getInstance().addHook('onRoute', ({ method, url, config }) => {
    routes.push(...[method].flat().map((one) => ({ method: one, url, config: config as object })));
  });
  const app = await NestFactory.create(ApiModule, adapter, { logger: false });
  await app.init();
  await app.close();
  const guarded = routes.filter(({ config }) => !config?.isPublic);
  expect(guarded.length).toBeGreaterThan(20);
  const name = ({ method, url }: { method: string; url: string }) => `${method} ${url}`;
  expect(guarded.filter(({ method, config }) => !scopeOf(method, config ?? {})).map(name)).toEqual([]);
  // A new one is refused to such keys until it says what it is about.
  const ofAll = guarded.filter(({ method, config }) => method !== 'HEAD' && !config?.contracts).map(name);
  const known = /^(\w+ \/(queues|workers|tags|metrics|openapi\.json)\b|GET \/schedules$)/;
  expect(ofAll.filter((route) => !known.test(route))).toEqual([]);
});

describe('a scope', () => {
  test.each<[string, string, unknown, Who[]]>([
    ['POST', '/jobs', mail, ['producer', 'mailer']],
    ['POST', '/jobs/bulk', { jobs: [mail] }, ['producer', 'mailer']],
    ['POST', '/batches', batch, ['producer', 'mailer']],
    ['GET', '/jobs?name=sample.mail', undefined, ['reader', 'operator', 'mailer']],
    ['HEAD', '/jobs?name=sample.mail', undefined, ['reader', 'operator', 'mailer']],
    ['GET', '/jobs', undefined, ['reader', 'operator']],
    ['GET', '/dead-letters?name=sample.mail', undefined, ['reader', 'operator', 'mailer']],
    ['GET', '/queues', undefined, ['reader', 'operator']],
    ['HEAD', '/queues', undefined, ['reader', 'operator']],
    ['GET', '/workers', undefined, ['reader', 'operator']],
    ['GET', '/tags', undefined, ['reader', 'operator']],
    ['GET', '/metrics', undefined, ['reader', 'operator']],
    ['GET', '/schedules', undefined, ['reader', 'operator']],
    ['GET', '/openapi.json', undefined, ['producer', 'reader', 'operator', 'mailer']],
    ['GET', '/docs', undefined, ['producer', 'reader', 'operator', 'mailer']],
    ['POST', '/queues/sample-mail/pause', undefined, ['operator']],
    ['POST', '/queues/sample-mail/resume', undefined, ['operator']],
    ['POST', '/jobs/cancel', { name: 'sample.mail' }, ['operator', 'mailer']],
    ['POST', '/jobs/rerun', { name: 'sample.mail' }, ['operator', 'mailer']],
    ['POST', '/dead-letters/replay', { name: 'sample.mail' }, ['operator', 'mailer']],
    ['POST', '/dead-letters/discard', { name: 'sample.mail' }, ['operator', 'mailer']],
    ['POST', '/dead-letters/discard', { queue: 'sample-mail' }, ['operator']],
  ])('%s %s', async (method, path, body, allowed) => {
    for (const who of Object.keys(keys) as Who[]) {
      const { status, body: answer } = await call(who, method, path, body);
      const isAllowed = who === 'plain' || allowed.includes(who);
      expect([who, status < 300]).toEqual([who, isAllowed]);
      if (isAllowed || method === 'HEAD') continue;
      expect([status, answer.type]).toEqual([
        403,
        expect.stringMatching(/:(scope-missing|contract-not-allowed)$/),
      ]);
      expect(answer.detail).toContain(`The key ${who} `);
    }
  });

  test('that is missing is named', async () => {
    expect((await call('producer', 'GET', '/queues')).body).toMatchObject({
      detail: 'The key producer may not do this: it takes a key with the scope read',
      scope: 'read',
    });
    expect((await call('reader', 'POST', `/jobs/${randomUUID()}/cancel`)).body).toMatchObject({
      scope: 'operate',
    });
  });

  test('operate chooses no payload without enqueue', async () => {
    const id = await dead(mail);
    for (const [path, body] of [
      [`/jobs/${id}/rerun`, { payload }],
      [`/jobs/${id}/rerun`, { payload: null }],
      ['/jobs/rerun', { ids: [id], patch: { subject: 'Other' } }],
      ['/dead-letters/replay', { ids: [id], payload }],
    ] as const)
      expect(await call('operator', 'POST', path, body)).toMatchObject({
        status: 403,
        body: { scope: 'enqueue' },
      });
    expect((await call('mailer', 'POST', `/jobs/${id}/rerun`, { payload })).status).toBe(202);
    expect((await call('operator', 'POST', `/jobs/${id}/replay`)).status).toBe(200);
  });

  test('enqueue shows nothing of a job that somebody else made, and waits for no result', async () => {
    const options = { unique: { key: randomUUID() } };
    const id = await enqueue({ ...mail, payload: { ...payload, subject: 'Private' } }, options);
    const { status, body } = await call('producer', 'POST', '/jobs', { ...mail, options });
    expect([status, body.id, body.payload]).toEqual([200, id, null]);
    expect(JSON.stringify(body)).not.toContain('Private');
    const waiting = await call('producer', 'POST', '/jobs', mail, { prefer: 'wait=1' });
    expect(waiting).toMatchObject({ status: 403, body: { scope: 'read' } });
  });

  test('the name of a key is in the audit', async () => {
    const id = await enqueue(mail);
    await call('operator', 'POST', `/jobs/${id}/cancel`);
    await call('plain', 'POST', `/jobs/${id}/cancel`);
    await eventually(async () => {
      const lines = await environment.sql(`select actor from audit where subject = $1 order by id`, [id]);
      return lines.length === 2;
    });
    const lines = await environment.sql(`select actor from audit where subject = $1 order by id`, [id]);
    expect(lines).toEqual([{ actor: 'key:operator' }, { actor: expect.stringMatching(/^key:[\w-]{8}$/) }]);
  });
});

describe('a key of some contracts', () => {
  const foreign = {
    status: 403,
    body: { contract: 'sample.picture', detail: expect.stringContaining('sample.picture') },
  };

  test.each<[string, string, (id: string) => unknown]>([
    ['a job', '/jobs', () => picture],
    ['a job that follows', '/jobs', () => ({ ...mail, options: { next: picture } })],
    [
      'one that follows later',
      '/jobs',
      () => ({ ...mail, options: { next: { ...mail, options: { next: picture } } } }),
    ],
    ['one of many jobs', '/jobs/bulk', () => ({ jobs: [mail, picture] })],
    ['a batch', '/batches', () => ({ name: picture.name, payloads: [picture.payload] })],
    ['what follows a batch', '/batches', () => ({ ...batch, onComplete: picture })],
    ['what follows if it succeeds', '/batches', () => ({ ...batch, onSuccess: picture })],
    ['cancelling by a filter', '/jobs/cancel', (id) => ({ name: picture.name, ids: [id] })],
    ['rescheduling by a filter', '/jobs/reschedule', () => ({ name: picture.name, delay: '1s' })],
    ['running again by a filter', '/jobs/rerun', () => ({ name: picture.name })],
    ['replaying by a filter', '/dead-letters/replay', () => ({ name: picture.name })],
    ['discarding by a filter', '/dead-letters/discard', () => ({ name: picture.name })],
  ])('is refused %s of another one', async (_, path, body) => {
    const count = async () => (await environment.sql('select count(*)::int as count from jobs'))[0];
    const id = await enqueue(picture);
    const counted = await count();
    expect(await call('mailer', 'POST', path, body(id))).toMatchObject(foreign);
    expect(await count()).toEqual(counted);
    expect((await call('plain', 'GET', `/jobs/${id}`)).body.state).toBe('queued');
  });

  test.each<[string, string, unknown]>([
    ['GET', '', undefined],
    ['GET', '/events', undefined],
    ['GET', '/log', undefined],
    ['POST', '/cancel', undefined],
    ['POST', '/reschedule', { delay: '1s' }],
    ['POST', '/rerun', {}],
    ['POST', '/rerun', { payload }],
    ['POST', '/replay', undefined],
    ['POST', '/discard', undefined],
  ])('is refused %s /jobs/{id}%s of another one', async (method, path, body) => {
    const id = await dead(picture);
    expect(await call('mailer', method, `/jobs/${id}${path}`, body)).toMatchObject(foreign);
    expect((await call('mailer', 'HEAD', `/jobs/${id}`)).status).toBe(403);
    expect((await call('mailer', 'GET', `/dead-letters/${id}`)).status).toBe(403);
    expect((await call('mailer', method, `/jobs/${randomUUID()}${path}`, body)).status).toBe(404);
    expect((await call('plain', 'GET', `/jobs/${id}`)).body.state).toBe('dead');
  });

  test('has to name one where a filter could mean others', async () => {
    const id = await dead(picture);
    for (const [path, body] of [
      ['/jobs/cancel', { ids: [id] }],
      ['/jobs/rerun', { queue: 'sample-picture' }],
      ['/dead-letters/replay', { ids: [id], payload }],
      ['/dead-letters/discard', {}],
    ] as const)
      expect(await call('mailer', 'POST', path, body)).toMatchObject({
        ...{ status: 403, body: { detail: expect.stringContaining('has to name a contract') } },
      });
    for (const query of [
      '',
      '?where=/source:a.png',
      '?queue=sample-picture',
      '?name=sample.picture',
      '?name=sample.mail&name=sample.picture',
    ])
      for (const path of ['/jobs', '/dead-letters'])
        expect((await call('mailer', 'GET', `${path}${query}`)).status).toBe(403);
    // Ids of others that stand beside a name of one's own are not meant.
    const answer = await call('mailer', 'POST', '/dead-letters/discard', { name: 'sample.mail', ids: [id] });
    expect([answer.status, answer.body.count]).toEqual([200, 0]);
  });

  test('does all of its scopes with its own', async () => {
    const { body } = await call('mailer', 'POST', '/jobs', { ...mail, options: { delay: '1h', next: mail } });
    expect(
      (await call('mailer', 'GET', '/jobs?name=sample.mail&where=/to:ada@example.com')).body.items,
    ).not.toEqual([]);
    expect((await call('mailer', 'GET', `/jobs/${body.id}`)).body.id).toBe(body.id);
    expect((await call('mailer', 'POST', `/jobs/${body.id}/reschedule`, { delay: '2h' })).status).toBe(200);
    expect((await call('mailer', 'POST', `/jobs/${body.id}/cancel`)).body.state).toBe('cancelled');
    // It has ended: its stream does, too.
    expect((await call('mailer', 'GET', `/jobs/${body.id}/events`)).status).toBe(200);
  });

  test('sees and cancels batches of its own only', async () => {
    const make = async ({ name, payload }: typeof mail | typeof picture): Promise<string> =>
      (await call('plain', 'POST', '/batches', { name, payloads: [payload] })).body.id;
    const [own, other] = await Promise.all([make(mail), make(picture)]);
    expect(await call('mailer', 'GET', `/batches/${other}`)).toMatchObject(foreign);
    expect(await call('mailer', 'POST', `/batches/${other}/cancel`)).toMatchObject(foreign);
    expect((await call('mailer', 'GET', `/batches/${randomUUID()}`)).status).toBe(404);
    expect((await call('mailer', 'POST', `/batches/${own}/cancel`)).status).toBe(200);
  });

  test('makes and operates schedules of its own only', async () => {
    const schedule = (job: string, payload: unknown) => ({ cron: '0 0 1 1 *', job, payload });
    const name = `keys.${randomUUID()}`;
    const put = (who: Who, job: typeof mail | typeof picture) =>
      call(who, 'PUT', `/schedules/${name}`, schedule(job.name, job.payload));
    expect(await put('mailer', picture)).toMatchObject(foreign);
    expect((await put('operator', mail)).body).toMatchObject({ scope: 'enqueue' });
    expect((await put('plain', picture)).status).toBe(201);
    expect(await put('mailer', mail)).toMatchObject(foreign);
    for (const action of ['pause', 'resume', 'run'])
      expect(await call('mailer', 'POST', `/schedules/${name}/${action}`)).toMatchObject(foreign);
    expect(await call('mailer', 'DELETE', `/schedules/${name}`)).toMatchObject(foreign);
    expect((await put('plain', mail)).status).toBe(200);
    expect((await put('mailer', mail)).status).toBe(200);
    expect((await call('mailer', 'POST', `/schedules/${name}/run`)).status).toBe(202);
    expect((await call('mailer', 'DELETE', `/schedules/${name}`)).status).toBe(204);
  });
});
