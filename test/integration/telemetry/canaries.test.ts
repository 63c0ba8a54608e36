import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { AnyContract } from '#jobs';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  type Letter,
} from '#testing/services';
import { givenAppsWith } from '../../support/apps-with.js';
import { compile } from '../../support/compile.js';
import { givenEventStream } from '../../support/event-stream.js';
import { Leak, LeakIsolated } from './planted/contracts.js';

/**
 * Secrets are planted wherever there can be some, and looked for wherever something is shown, in a real api and a real
 * worker that run contracts and handlers which tell all that they know.
 */
const canary = (name: string) => `canary-${name}-${Math.random().toString(36).slice(2)}`;
const broker = canary('broker');
const database = canary('database');
const key = canary('api-key');
const smtp = canary('smtp');
const webhook = Buffer.from(canary('webhook').padEnd(32, '.')).toString('base64');
const encryption = Buffer.from(canary('encryption').padEnd(32, '.').slice(0, 32)).toString('base64');
const notify = canary('notify');
const settings = {
  API_KEYS: key,
  LOG_LEVEL: 'trace',
  SMTP_URL: `smtp://mail:${smtp}@127.0.0.1:1`,
  WEBHOOK_SECRET: `whsec_${webhook}`,
  ENCRYPTION_KEYS: `key:${encryption}`,
  NOTIFY_WEBHOOKS: `http://127.0.0.1:1/${notify}`,
};
const card = `card-${canary('payload')}`;
const nested = `card-${canary('nested')}`;
const password = canary('password');
const refused = canary('refused');
const foreign = canary('foreign');
/** See planted/schedules.ts. */
const scheduled = 'card-canary-schedule';

/** What must be seen nowhere. The secrets in results are made of the card. */
const secrets = [
  broker,
  database,
  key,
  smtp,
  webhook,
  encryption,
  notify,
  card,
  nested,
  password,
  refused,
  foreign,
  scheduled,
];

let environment: Environment;
let api: AppProcess;
let worker: AppProcess;
/** Everything that was shown, by where. */
const shown = new Map<string, string>();
const jobs: Record<string, string> = {};

beforeAll(async () => {
  const planted = ['contracts', 'schedules', 'handlers'];
  await compile(...planted.map((name) => new URL(`./planted/${name}.ts`, import.meta.url)));
  const folder = await givenAppsWith('integration/telemetry/planted');
  environment = await givenEnvironment([...Object.values<AnyContract>(contracts), Leak, LeakIsolated]);
  await environment.management('PUT', `/users/${broker}`, { password: broker, tags: '' });
  await environment.management('PUT', `/permissions/{vhost}/${broker}`, {
    configure: '.*',
    write: '.*',
    read: '.*',
  });
  await environment.sql(`create role "${database}" superuser login password '${database}'`);
  const as = (url: string, name: string) =>
    Object.assign(new URL(url), { username: name, password: name }).href;
  const theirs = {
    rabbitmqUrl: as(environment.rabbitmqUrl, broker),
    databaseUrl: as(environment.databaseUrl, database),
  };
  api = await givenProcess('api', theirs, settings, { folder });
  worker = await givenProcess('worker', theirs, settings, { folder });
  await Promise.all([api.ready(), worker.ready()]);
  await leak();
}, 120_000);
afterAll(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
  await environment?.management('DELETE', `/users/${broker}`);
  await environment?.sql(`drop role "${database}"`);
  await environment?.close();
});

/** Calls the api and keeps what it answers. */
async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    body: body ? JSON.stringify(body) : undefined,
  });
  const text = await response.text();
  const where = `${method} ${path.replace(/[0-9a-f-]{36}/, ':id')}`;
  shown.set(where, `${shown.get(where) ?? ''}${text}\n`);
  return { body: response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined };
}

async function leak() {
  const payload = { card, nested: [{ a: nested }], login: { password } };
  const ways = [
    ['leak.plain', 'return'],
    ['leak.plain', 'throw'],
    ['leak.plain', 'misfit'],
    ['leak.isolated', 'return'],
    ['leak.isolated', 'throw'],
  ] as const;
  for (const [name, how] of ways) {
    const next = how === 'return' ? { name, payload: { ...payload, how: 'throw' } } : undefined;
    const { body } = await call('POST', '/jobs', { name, payload: { ...payload, how }, options: { next } });
    jobs[`${name} ${how}`] = body.id;
    if (next) jobs[`${name} next`] = body.next;
  }
  const events = await Promise.all(
    Object.values(jobs)
      .slice(1, 3)
      .map((id) => givenEventStream(`${api.url}/jobs/${id}/events`, { authorization: `Bearer ${key}` })),
  );
  await call(
    'POST',
    '/jobs',
    { name: 'leak.plain', payload: { ...payload, how: 'return' } },
    { prefer: 'wait=20' },
  );
  await call('POST', '/batches', { name: 'leak.plain', payloads: [{ ...payload, how: 'throw' }] });
  await call('POST', '/jobs', { name: 'leak.plain', payload: { ...payload, card: refused, how: 'return' } });
  await call('POST', '/schedules/leak.never/run');
  const letter = { messageId: '01930000-0000-7000-8000-000000000001', type: 'leak.plain' };
  await environment.publish(
    'leak.plain',
    JSON.stringify({ how: 1, card: foreign, login: { password } }),
    letter,
  );
  await environment.publish('leak.plain', `"${foreign}`, letter);
  await environment.publish('leak.plain', foreign, letter);
  await eventually(async () => {
    const { body } = await call('GET', '/jobs?limit=1000');
    // Two of the letters have the id of the third, and become dead letters of their own.
    const ofLetters = await environment.sql('select job from unprocessable_messages');
    const isThere = body.items.some(({ id }: { id: string }) => id === letter.messageId);
    return (
      isThere && ofLetters.length >= 2 && body.items.every((job: { finishedAt: unknown }) => job.finishedAt)
    );
  }, 40_000);
  for (const id of Object.values(jobs)) {
    await call('GET', `/jobs/${id}`);
    await call('GET', `/jobs/${id}/log`);
  }
  for (const path of [
    '/jobs?state=dead',
    '/schedules',
    '/queues',
    '/openapi.json',
    '/metrics',
    '/dead-letters',
  ])
    await call('GET', path);
  const { body: dead } = await call('GET', '/jobs?state=dead');
  for (const { id } of dead.items) await call('GET', `/dead-letters/${id}`);
  await call('GET', '/jobs', undefined, { authorization: `Bearer ${refused}` });
  await call('POST', `/jobs/${jobs['leak.plain throw']}/discard`);
  // The keeper may have some of them in its hands for a moment.
  const letters: Letter[] = [];
  await eventually(async () => {
    letters.push(...(await environment.drainQueue('leak.dead')));
    return letters.some(({ headers }) =>
      String(headers['x-dead-reason']).includes('the body is not valid JSON'),
    );
  });
  await api.stop();
  await worker.stop();

  shown.set('events', events.map((stream) => stream.text()).join(''));
  shown.set('output of the api', api.output());
  shown.set('output of the worker', worker.output());
  shown.set('headers of dead letters', JSON.stringify(letters.map(({ headers }) => headers)));
  const columns = await environment.sql('select attempts, progress_note from jobs');
  shown.set('errors and notes in the database', JSON.stringify(columns));
  shown.set('logs of jobs in the database', JSON.stringify(await environment.sql('select * from job_logs')));
}

test.each(secrets)('%s is seen nowhere', (secret) => {
  const places = [...shown].filter(([, text]) => text.includes(secret)).map(([where]) => where);
  expect(places).toEqual([]);
});

test('what is no secret is seen everywhere that it should be', () => {
  expect(shown.get('GET /jobs/:id')).toContain('"card":"[redacted]"');
  expect(shown.get('GET /jobs/:id')).toContain('"token":"a token for the client"');
  expect(shown.get('GET /jobs/:id')).toContain('charging {');
  expect(shown.get('POST /jobs')).toContain('[redacted]\\" is wrong');
  expect(shown.get('GET /schedules')).toContain('"card":"[redacted]"');
  expect(shown.get('events')).toContain('the card [redacted]');
  expect(shown.get('headers of dead letters')).toContain('the body is not valid JSON');
  expect(shown.get('GET /jobs/:id/log')).toContain('the card [redacted] in a field');
  expect(shown.get('output of the worker')).toContain('the card [redacted] in a field');
});
