import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import * as contracts from '#contracts';
import { hashPassword } from '#dashboard';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import type { JobView } from '#records';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
  givenWorker,
} from '#testing/services';
import { exchange, head } from '../../support/raw-http.js';
import { givenReceiver } from '../../support/receiver.js';

const PASSWORD = 'correct horse battery staple';
const KEY = 'a-key-for-this-test-only';

const Call = defineJob({ name: 'call.made', queue: 'call', payload: z.url(), retry: [] });
@JobHandler(Call)
class CallHandler implements Handler<typeof Call> {
  async handle({ payload }: JobContext<typeof Call>) {
    await Promise.any([fetch(payload)]);
  }
}

let environment: Environment;
let hash: string;
let api: AppProcess;
/** With no users: open, as everything is on loopback without keys; and none at all. */
let open: AppProcess;
let off: AppProcess;

beforeAll(async () => {
  [environment, hash] = await Promise.all([
    givenEnvironment([...Object.values(contracts), Call]),
    hashPassword(PASSWORD),
  ]);
  const users = `operator:ada:${hash},viewer:bob:${hash},viewer:zoe:${hash}`;
  [api, open, off] = await Promise.all([
    givenProcess('api', environment, { DASHBOARD_USERS: users, API_KEYS: KEY }).then((app) => app.ready()),
    givenProcess('api', environment).then((app) => app.ready()),
    givenProcess('api', environment, { API_KEYS: KEY, NODE_ENV: 'production' }).then((app) => app.ready()),
  ]);
});
afterAll(async () => {
  await Promise.all([api, open, off].map((app) => app?.stop()));
  await environment?.close();
});

const get = (path: string, headers: Record<string, string> = {}, on = api) =>
  fetch(`${on.url}/dashboard${path}`, { headers, redirect: 'manual' });
const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}, on = api) =>
  fetch(`${on.url}/dashboard${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form),
    redirect: 'manual',
  });

/** The cookie of a new session, and the token that its forms carry. */
async function signIn(name: string): Promise<{ cookie: string; csrf: string }> {
  const answer = await post('/sign-in', { name, password: PASSWORD });
  const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
  const [, csrf = ''] =
    /name="csrf" value="([^"]+)"/.exec(await (await get('/jobs', { cookie })).text()) ?? [];
  return { cookie, csrf };
}
const isPaused = async (queue: string) =>
  (await environment.sql('select 1 from paused_queues where queue = $1', [queue])).length === 1;

describe('signing in', () => {
  test.each([
    '',
    '?range=7d',
    '/jobs',
    '/dead-letters',
    '/schedules',
    '/batches',
    '/workers',
    '/audit',
    '/events',
    '/jobs/x/events',
  ])('%p needs it', async (path) => {
    const answer = await get(path, { authorization: `Bearer ${KEY}` });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe(
      `/dashboard/sign-in?to=${encodeURIComponent(`/dashboard${path}`)}`,
    );
  });
  test('gives a cookie that scripts and other sites have nothing of, and a page its headers', async () => {
    const answer = await post('/sign-in', {
      name: 'ada',
      password: PASSWORD,
      to: '/dashboard/jobs?state=dead',
    });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe('/dashboard/jobs?state=dead');
    expect(answer.headers.get('set-cookie')).toMatch(
      /^warren=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/,
    );
    const behindTls = await post(
      '/sign-in',
      { name: 'ada', password: PASSWORD },
      { 'x-forwarded-proto': 'https' },
    );
    expect(behindTls.headers.get('set-cookie')).toMatch(/^__Host-warren=.*; Secure; SameSite=Lax$/);
    const { headers } = await get('/sign-in');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
  });
  test.each(['https://evil.example', '//evil.example', '/dashboard.evil.example', '/jobs'])(
    'does not lead to %p',
    async (to) => {
      const answer = await post('/sign-in', { name: 'ada', password: PASSWORD, to });
      expect(answer.headers.get('location')).toBe('/dashboard');
    },
  );
  test('with a wrong password or name is refused the same way, and slowed down', async () => {
    const answers = [];
    for (let attempt = 0; attempt < 6; attempt++)
      answers.push(await post('/sign-in', { name: 'eve', password: 'no' }));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429]);
    expect(Number(answers.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(50);
    const wrong = await post('/sign-in', { name: 'bob', password: 'no' });
    expect(wrong.status).toBe(401);
    const without = (text: string) => text.replace(/value="[^"]*"|autofocus/g, '');
    expect(without(await wrong.text())).toBe(without((await answers[0]?.text()) ?? ''));
  });
  test('keeps no token in the database, ends with signing out, with time, and with another password', async () => {
    const { cookie, csrf } = await signIn('ada');
    const [row] = await environment.sql<{ token: string }>(
      `select encode(token_hash, 'base64') as token from dashboard_sessions order by created_at desc limit 1`,
    );
    expect(cookie).not.toContain(row?.token);
    expect((await get('', { cookie })).status).toBe(200);
    expect((await post('/sign-out', { csrf }, { cookie })).status).toBe(303);
    expect((await get('', { cookie })).status).toBe(303);

    const idle = await signIn('ada');
    await environment.sql(`update dashboard_sessions set seen_at = now() - interval '9 h'`);
    expect((await get('', { cookie: idle.cookie })).status).toBe(303);
    const old = await signIn('ada');
    await environment.sql(`update dashboard_sessions set created_at = now() - interval '8 d'`);
    expect((await get('', { cookie: old.cookie })).status).toBe(303);
    const changed = await signIn('ada');
    await environment.sql(`update dashboard_sessions set password_hash = '\\x00'`);
    expect((await get('', { cookie: changed.cookie })).status).toBe(303);
  });
});

describe('an action', () => {
  let ada: Awaited<ReturnType<typeof signIn>>;
  let bob: Awaited<ReturnType<typeof signIn>>;
  beforeAll(async () => {
    [ada, bob] = [await signIn('ada'), await signIn('bob')];
  });

  test('is done for an operator, with an audit line', async () => {
    const answer = await post('/queues/sample-mail/pause', { csrf: ada.csrf }, { cookie: ada.cookie });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/dashboard']);
    expect(await isPaused('sample-mail')).toBe(true);
    expect(
      await environment.sql('select actor, via, action, subject, count from audit order by id desc limit 1'),
    ).toEqual([{ actor: 'ada', via: 'dashboard', action: 'queue.pause', subject: 'sample-mail', count: 1 }]);
  });
  const id = '01900000-0000-7000-8000-000000000000';
  const actions = [
    ...['cancel', 'start', 'replay', 'discard', 'rerun'].map((action) => `/jobs/${id}/${action}`),
    ...['/dead-letters/replay', '/dead-letters/discard'],
    ...['cancel', 'reschedule', 'rerun'].map((action) => `/jobs/many/${action}`),
    ...['/queues/sample-picture/pause', '/queues/sample-mail/resume', `/batches/${id}/cancel`],
    ...['run', 'pause', 'resume'].map((action) => `/schedules/sample.nightly/${action}`),
    ...['quiet', 'unquiet', 'stop'].map((action) => `/workers/1/${action}`),
  ];
  test.each(actions)('%p is not for a viewer, nor without the token of a page', async (path) => {
    expect((await post(path, { csrf: bob.csrf }, { cookie: bob.cookie })).status).toBe(403);
    expect((await post(path, {}, { cookie: ada.cookie })).status).toBe(403);
    expect((await post(path, { csrf: bob.csrf }, { cookie: ada.cookie })).status).toBe(403);
    // Nobody: to the sign-in, which forgets what was asked.
    const nobody = await post(path, {});
    expect([nobody.status, nobody.headers.get('location')]).toEqual([303, '/dashboard/sign-in']);
    expect((await get(path, { cookie: ada.cookie })).status).toBe(404);
    const lines = await environment.sql('select actor, count, refusal from audit order by id desc limit 3');
    const isOld = expect.stringContaining('page is too old');
    expect(lines).toEqual([
      { actor: 'ada', count: 0, refusal: isOld },
      { actor: 'ada', count: 0, refusal: isOld },
      { actor: 'bob', count: 0, refusal: expect.stringContaining('takes an operator') },
    ]);
  });
  test('on a job that has ended shows what is changed in its payload and what is wrong, before it runs again', async () => {
    const api = (path: string, body: object) =>
      fetch(`${open.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).then((answer) => answer.json() as Promise<JobView>);
    const payload = { to: 'ada@example.com', subject: 'Hello', text: 'hush-hush' };
    const job = await api('/jobs', { name: 'sample.mail', payload, options: { tags: ['edited'] } });
    const { cookie } = ada;
    await post(`/jobs/${job.id}/cancel`, { csrf: ada.csrf }, { cookie });
    const page = async (answer: Promise<Response>) => {
      const [{ status }, html] = [await answer, await (await answer).text()];
      expect(html).not.toContain('hush-hush');
      return { status, html };
    };
    const check = (text: string) =>
      page(post(`/jobs/${job.id}/edit`, { csrf: ada.csrf, payload: text }, { cookie }));
    expect((await page(get(`/jobs/${job.id}/edit`, { cookie }))).html).toContain(
      '&quot;text&quot;: &quot;[redacted]',
    );
    expect((await page(get(`/jobs/${job.id}`, { cookie: bob.cookie }))).html).not.toContain('/edit');
    expect(
      (await post(`/jobs/${job.id}/edit`, { csrf: bob.csrf, payload: '{}' }, { cookie: bob.cookie })).status,
    ).toBe(403);

    expect((await check('{')).html).toMatch(/role="alert"[\s\S]*JSON/);
    const wrong = await check(JSON.stringify({ ...(job.payload as object), to: 'nobody' }));
    expect(wrong.html).toMatch(/role="alert"[\s\S]*<code>\/payload\/to<\/code>/);
    expect(wrong.html).not.toContain('Run again as a new job');
    const text = JSON.stringify({ ...(job.payload as object), to: 'eve@example.com' });
    const right = await check(text);
    expect(right.html).toMatch(/<code>\/to<\/code> <del>.*ada@example.com.*<ins>.*eve@example.com/);
    expect(right.html).toContain('Run again as a new job');

    const again = await post(`/jobs/${job.id}/rerun`, { csrf: ada.csrf, payload: text }, { cookie });
    expect(again.status).toBe(303);
    const [made] = await environment.sql('select id, payload from jobs where rerun_of = $1', [job.id]);
    expect(made?.payload).toEqual({ ...payload, to: 'eve@example.com' });
    expect(again.headers.get('location')).toContain(made?.id);
    expect((await page(get(`/jobs/${made?.id}`, { cookie }))).html).toContain(`/dashboard/jobs/${job.id}`);
  });
  test('a job is enqueued by hand, from an example of its payload, when that fits its contract', async () => {
    const { cookie, csrf } = ada;
    const html = async (answer: Promise<Response>) => (await answer).text();
    expect(await html(get('/enqueue', { cookie }))).toContain('<option value="sample.mail"');
    const first = await html(get('/enqueue?name=sample.mail', { cookie }));
    expect(first).toContain('&quot;to&quot;: &quot;ada@example.com&quot;');
    expect(await html(get('/enqueue?name=sample.mail', { cookie: bob.cookie }))).not.toContain('<textarea');
    const check = (payload: string) =>
      html(post('/enqueue', { csrf, name: 'sample.mail', payload }, { cookie }));
    expect(await check('{')).toMatch(/role="alert"[\s\S]*JSON/);
    const wrong = await check('{"to":"nobody","subject":"","text":""}');
    expect(wrong).toMatch(/role="alert"[\s\S]*<code>\/payload\/to<\/code>/);
    expect(wrong).not.toContain('action="/dashboard/enqueue/run"');
    const payload = '{"to":"by-hand@example.com","subject":"Hello","text":"hush-hush"}';
    expect(await check(payload)).toContain('action="/dashboard/enqueue/run"');
    const done = await post('/enqueue/run', { csrf, name: 'sample.mail', payload }, { cookie });
    const [made] = await environment.sql(
      `select id from jobs where payload ->> 'to' = 'by-hand@example.com'`,
    );
    expect([done.status, done.headers.get('location')]).toEqual([303, `/dashboard/jobs/${made?.id}`]);
    const [line] = await environment.sql(`select actor from audit where action = 'job.enqueue'`);
    expect(line).toEqual({ actor: 'ada' });
    for (const wrong of [{ name: 'no.such' }, { payload: '{' }, { payload: '{"to":1}' }]) {
      const form = { csrf, name: 'sample.mail', payload, ...wrong };
      const { status } = await post('/enqueue/run', form, { cookie });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
  });
  test('a schedule is made, changed and deleted on a page, which says what is wrong with it', async () => {
    const { cookie, csrf } = ada;
    const given = {
      csrf,
      name: 'digest.acme',
      cron: '0 7 29 2 *',
      timeZone: 'Europe/Berlin',
      job: 'sample.nightly',
    };
    const put = (wrong: object = {}) =>
      post('/schedules/edit', { ...given, payload: '{}', ...wrong }, { cookie });
    for (const [wrong, words] of [
      [{ cron: 'x' }, 'five fields'],
      [{ timeZone: 'Mars' }, 'IANA name'],
      [{ job: 'no.such' }, 'no.such'],
      [{ payload: '{' }, 'JSON'],
      [{ payload: '7' }, '/payload'],
      [{ name: 'Not a name' }, 'name must be'],
    ] as const) {
      const answer = await put(wrong);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toMatch(new RegExp(`role="alert"[\\s\\S]*${words}`));
    }
    const checked = await (await put()).text();
    expect(checked).toContain('action="/dashboard/schedules/put"');
    expect(checked).toMatch(/Fires next[\s\S]*<time datetime="\d{4}-02-29T06:00/);
    const all = {
      ...given,
      payload: '{}',
      overlap: 'skip',
      missed: 'all',
      jitter: '5s',
      tags: 'tenant:acme, b',
    };
    const done = await post('/schedules/put', all, { cookie });
    expect([done.status, done.headers.get('location')]).toEqual([303, '/dashboard/schedules']);
    const list = await (await get('/schedules', { cookie })).text();
    expect(list).toContain('digest.acme');
    const edited = await (await get('/schedules/edit?name=digest.acme', { cookie })).text();
    // Saved as it is shown, nothing of it changes.
    for (const shown of ['0 7 29 2 *', 'skip', 'all', '5s', 'tenant:acme, b'])
      expect(edited).toContain(`value="${shown}"`);
    expect((await post('/schedules/digest.acme/delete', { csrf }, { cookie })).status).toBe(303);
    expect(await environment.sql(`select from schedules where name = 'digest.acme'`)).toEqual([]);
    expect((await post('/schedules/put', { ...given, cron: 'x', payload: '{}' }, { cookie })).status).toBe(
      422,
    );
  });
  test('on many jobs says how many they are before it is done to them', async () => {
    const { cookie, csrf } = ada;
    const html = async (path: string) => (await get(path, { cookie })).text();
    expect(await html('/jobs?tag=edited')).toContain('/dashboard/jobs/many?tag=edited&amp;action=cancel');
    expect(await html('/jobs/many?tag=edited&action=cancel')).toContain('Cancel: 1 job?');
    expect((await get('/jobs/many?action=cancel', { cookie })).status).toBe(400);
    expect((await post('/jobs/many/cancel', { csrf, tag: '' }, { cookie })).status).toBe(400);
    const done = await post(
      '/jobs/many/cancel',
      { csrf, tag: 'edited', where: '/to:eve@example.com' },
      { cookie },
    );
    expect(done.status).toBe(303);
    const path = (done.headers.get('location') ?? '').replace('/dashboard', '');
    expect(await html(path)).toContain('1 job cancelled.');
    expect(await html('/jobs/many?tag=edited&action=rerun')).toContain('Run again: 1 job?');
    const form = { csrf, tag: 'edited', patch: '{"to":"bob@example.com"}', perSecond: '50' };
    expect((await post('/jobs/many/rerun', { ...form, patch: '{' }, { cookie })).status).toBe(400);
    expect((await post('/jobs/many/rerun', form, { cookie })).status).toBe(303);
    expect(
      await environment.sql(`select 1 from jobs where payload ->> 'to' = 'bob@example.com'`),
    ).toHaveLength(1);
  });
  test.each(['queue=a&queue=%00', `queue=${'x'.repeat(300)}`, `errorForm=${'x'.repeat(700)}`, 'error='])(
    'is not done to all dead letters because it is not clear which are meant: %.20s',
    async (filter) => {
      const form = { ...Object.fromEntries(new URLSearchParams(filter)), csrf: ada.csrf };
      for (const action of ['replay', 'discard']) {
        expect((await post(`/dead-letters/${action}`, form, { cookie: ada.cookie })).status).toBe(400);
        expect(
          (await get(`/dead-letters/confirm?action=${action}&${filter}`, { cookie: ada.cookie })).status,
        ).toBe(400);
      }
    },
  );
  test.each<Record<string, string>>([
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ])('is refused from another site: %p', async (headers) => {
    const from = { cookie: ada.cookie, ...headers };
    expect((await post('/queues/sample-picture/pause', { csrf: ada.csrf }, from)).status).toBe(403);
    const [line] = await environment.sql(
      'select actor, action, subject, refusal from audit order by id desc limit 1',
    );
    expect(line).toEqual({
      actor: 'ada',
      action: 'queue.pause',
      subject: 'sample-picture',
      refusal: expect.stringContaining('another site'),
    });
    expect((await post('/sign-in', { name: 'ada', password: PASSWORD }, headers)).status).toBe(403);
    expect(await isPaused('sample-picture')).toBe(false);
  });
});

describe('signing in while somebody tries many names at once', () => {
  const attempt = async (name: string, password: string, localAddress?: string) => {
    const form = new URLSearchParams({ name, password }).toString();
    const sent = request(`${api.url}/dashboard/sign-in`, {
      method: 'POST',
      localAddress,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }).end(form);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    return answer;
  };
  test('is refused beyond what can be checked soon, and done for those known from there, or elsewhere', async () => {
    expect((await attempt('ada', PASSWORD)).statusCode).toBe(303);
    const attack = Array.from({ length: 400 }, (_, number) => attempt(`nobody-${number}`, 'guess'));
    const [first] = await Promise.all([attack.at(0), attack.at(-1)]);
    expect([401, 429]).toContain(first?.statusCode);
    const more = Array.from({ length: 100 }, (_, number) => attempt(`someone-${number}`, 'guess'));
    const [known, elsewhere] = await Promise.all([
      attempt('ada', PASSWORD),
      attempt('bob', PASSWORD, '127.0.0.2'),
    ]);
    expect([known.statusCode, elsewhere.statusCode]).toEqual([303, 303]);
    const answers = await Promise.all([...attack, ...more]);
    const refused = answers.filter(({ statusCode }) => statusCode === 429);
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([401, 429]));
    expect(refused.every(({ headers }) => Number(headers['retry-after']) >= 1)).toBe(true);
    await eventually(async () => (await attempt('zoe', PASSWORD)).statusCode === 303);
  });
});

test('a form is taken by the dashboard only, and no longer one than 64 KiB', async () => {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/x-www-form-urlencoded' };
  expect((await fetch(`${api.url}/jobs`, { method: 'POST', headers, body: 'name=x' })).status).toBe(415);
  // A client may name the type of a body that it does not send.
  expect((await fetch(`${api.url}/jobs`, { method: 'POST', headers })).status).toBe(422);
  expect((await post('/sign-in', { name: 'x'.repeat(70_000) })).status).toBe(413);
  const form = { 'content-type': headers['content-type'] };
  const refused = [
    await exchange(api.url, head('POST /dashboard/sign-in', { ...form, 'content-length': '16000000' })),
    await exchange(
      api.url,
      `${head('POST /dashboard/sign-in', { ...form, 'transfer-encoding': 'chunked' })}11170\r\n${'x'.repeat(70_000)}`,
    ),
  ];
  for (const { status, headers } of refused) {
    expect([status, headers.get('content-type')]).toEqual([413, expect.stringContaining('problem+json')]);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test('styles and script may be kept for ever, and an old address still gives the new ones', async () => {
  const [, path = ''] =
    /href="\/dashboard(\/assets\/[^"]*styles.css)"/.exec(await (await get('/sign-in')).text()) ?? [];
  const styles = await get(path);
  expect(styles.headers.get('content-type')).toBe('text/css; charset=utf-8');
  expect(styles.headers.get('cache-control')).toContain('immutable');
  const old = await get('/assets/old/styles.css');
  expect([old.status, old.headers.get('cache-control')]).toEqual([200, 'no-cache']);
  expect((await get('/assets/old/..%2fhtml.js')).status).toBe(404);
});

describe('without DASHBOARD_USERS', () => {
  test('there is no dashboard where others can reach the api', async () => {
    for (const path of ['', '/sign-in', '/jobs', '/assets/x/styles.css']) {
      expect((await get(path, { authorization: `Bearer ${KEY}` }, off)).status).toBe(404);
    }
    await eventually(() => off.output().includes('Dashboard is off: set DASHBOARD_USERS'));
  });
  test('everybody on this machine is an operator, and says so with each form', async () => {
    const page = await (await get('', {}, open)).text();
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page) ?? [];
    expect(page).toContain('open to this machine');
    expect((await post('/queues/sample-flaky/pause', {}, {}, open)).status).toBe(403);
    expect((await post('/queues/sample-flaky/pause', { csrf }, {}, open)).status).toBe(303);
    expect(await isPaused('sample-flaky')).toBe(true);
    const evil: Record<string, string>[] = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'null' },
    ];
    for (const headers of evil)
      expect((await post('/queues/sample-flaky/resume', { csrf }, headers, open)).status).toBe(403);
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await get('', link, open)).status).toBe(200);
    for (const [host, status] of [
      ['localhost', 200],
      ['api', 403],
      ['evil.example', 403],
    ] as const) {
      const answer = await exchange(open.url, head('GET /dashboard', { host, connection: 'close' }));
      expect([host, answer.status]).toEqual([host, status]);
    }
  });
});

test('what is done over HTTP has an audit line with a part of the hash of its key', async () => {
  await fetch(`${api.url}/queues/sample-call/pause`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}` },
  });
  await fetch(`${api.url}/jobs/01900000-0000-7000-8000-000000000000/cancel`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}` },
  });
  const lines = await environment.sql(
    `select actor, action, subject, count from audit where via = 'http' order by id`,
  );
  const actor = expect.stringMatching(/^key:[\w-]{8}$/);
  expect(lines).toEqual([
    { actor, action: 'queue.pause', subject: 'sample-call', count: 1 },
    { actor, action: 'job.cancel', subject: '01900000-0000-7000-8000-000000000000', count: 0 },
  ]);
  expect(JSON.stringify(lines)).not.toContain(KEY.slice(0, 8));
});

test('P16: the overview names a queue that nobody serves, with how many wait and what to do', async () => {
  await environment.sql(
    `insert into jobs (id, name, queue, state, max_attempts, run_at) values
      (gen_random_uuid(), 'call.made', 'call-before', 'queued', 1, now())`,
  );
  await eventually(async () => {
    const page = await (await get('', {}, open)).text();
    return /<strong>call-before<\/strong>: 1 job waits, and no worker takes them: no contract/.test(page);
  });
});

test('pages say how long a job waited and ran, and what its thread used; the overview does by contract', async () => {
  const id = '01900000-0000-7000-8000-00000000abcd';
  const used = {
    attempt: 1,
    outcome: 'succeeded',
    worker: 'w:1',
    error: null,
    used: { cpuMs: 1234, heapBytes: 9e6 },
  };
  await environment.sql(
    `insert into jobs (id, name, queue, state, payload, max_attempts, attempt, run_at, started_at, finished_at, attempts)
     values ($1, 'call.timed', 'call-timed', 'succeeded', '{}', 1, 1, now() - interval '90 s', now() - interval '60 s',
       now(), jsonb_build_array($2::jsonb))`,
    [id, used],
  );
  const job = await (await get(`/jobs/${id}`, {}, open)).text();
  expect(job).toMatch(/<dt>Waited<\/dt><dd>30\.0 s</);
  expect(job).toContain('1,234 ms of CPU, 9 MB of heap');
  await eventually(async () => {
    const page = await (await get('', {}, open)).text();
    return /call\.timed.*?>1<.*?>30\.0 s<.*?>30\.0 s<.*?>1 min 0 s<.*?>1 min 0 s</s.test(page);
  }, 60_000);
});

test('what an error was caused by stands wherever the error is shown', async () => {
  const apps = await Promise.all([
    givenProducer(environment, { contracts: [Call] }),
    givenWorker(environment, { contracts: [Call], handlers: [CallHandler] }),
  ]);
  try {
    const { url, close } = await givenReceiver();
    await close();
    const { id } = await apps[0].jobs.enqueue(Call, url);
    const job = await eventually(async () => {
      const answer = await fetch(`${open.url}/jobs/${id}`);
      const job = (await answer.json()) as JobView;
      return job.state === 'dead' ? job : undefined;
    });
    const refused = `connect ECONNREFUSED ${new URL(url).host}`;
    expect(job.error).toMatchObject({
      class: 'AggregateError',
      message: 'All promises were rejected',
      causes: [
        { class: 'TypeError', message: 'fetch failed' },
        { class: 'Error', message: refused, code: 'ECONNREFUSED' },
      ],
    });
    const page = await (await get(`/jobs/${id}`, {}, open)).text();
    expect(
      page.match(new RegExp(`<strong>Error</strong> <code>ECONNREFUSED</code> ${refused}`, 'g')),
    ).toHaveLength(2);
    const said = `All promises were rejected: ${refused}`;
    expect(await (await get('/jobs?state=dead', {}, open)).text()).toContain(said);
    expect(await (await fetch(`${open.url}/jobs/${id}/events`)).text()).toContain(`"error":"${said}"`);
    const errorForm = said.replaceAll(/\d+/g, '#');
    expect(await (await get('/dead-letters', {}, open)).text()).toContain(errorForm);
    const groups = await fetch(`${open.url}/dead-letters?error=${encodeURIComponent(refused)}`);
    expect(await groups.json()).toMatchObject({ count: 1, groups: [{ errorForm }] });
  } finally {
    for (const app of apps) await app.close();
  }
});
