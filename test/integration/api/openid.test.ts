import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Configuration, Provider } from 'oidc-provider';
import * as contracts from '#contracts';
import { hashPassword } from '#dashboard';
import {
  type AppProcess,
  type Environment,
  freePort,
  givenEnvironment,
  givenProcess,
} from '#testing/services';

const SECRET = 'what the provider gave to Warren';
const PASSWORD = 'correct horse battery staple';

/** Whom the provider knows: the login is the account's id. */
const people: Record<string, Record<string, unknown>> = {
  ada: { email: 'ada@example.com', groups: ['everybody', 'warren-admins'], realm: { roles: ['staff'] } },
  bob: { email: 'bob@example.com', groups: 'staff' },
  eve: { email: 'eve@example.com', groups: ['everybody'] },
  mallory: { email: 'pat', groups: ['staff'] },
  odd: {
    email: 'ada@example.com',
    email_verified: false,
    preferred_username: 'o\u0000\u202edd',
    groups: ['staff'],
  },
};

let environment: Environment;
let provider: Server;
let issuer: string;
let settings: Record<string, string>;
/** Takes roles from the ID token; from what the provider tells when it is asked; has a provider that is away. */
let api: AppProcess;
let asking: AppProcess;
let alone: AppProcess;
let startApi: (more?: Record<string, string>) => Promise<AppProcess>;

beforeAll(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  provider = createServer().listen(0, '127.0.0.1');
  await once(provider, 'listening');
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  settings = {
    OIDC_ISSUER: issuer,
    OIDC_CLIENT_ID: 'warren',
    OIDC_CLIENT_SECRET: SECRET,
    OIDC_ROLES_CLAIM: 'groups',
    OIDC_ROLES: 'warren-admins=operator,staff=viewer',
    DASHBOARD_USERS: `operator:pat:${await hashPassword(PASSWORD)}`,
  };
  const callbacks: string[] = [];
  startApi = async (more = {}) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    callbacks.push(`${url}/dashboard/sign-in/openid/callback`);
    const app = await givenProcess(
      'api',
      environment,
      { ...settings, DASHBOARD_URL: url, ...more },
      { port },
    );
    return app.ready();
  };
  [api, asking, alone] = await Promise.all([
    startApi(),
    startApi({ OIDC_ROLES_CLAIM: '/realm/roles' }),
    startApi({ OIDC_ISSUER: `http://127.0.0.1:${await freePort()}` }),
  ]);
  const configuration: Configuration = {
    clients: [{ client_id: 'warren', client_secret: SECRET, redirect_uris: callbacks }],
    claims: {
      openid: ['sub', 'groups'],
      profile: ['realm', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: async (use) => ({ sub: id, ...claimsOf(id, use) }) }),
    // Asks nobody whether Warren may know them.
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ clientId: 'warren', accountId: oidc.session?.accountId ?? '' });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
  };
  provider.on('request', new Provider(issuer, configuration).callback());
});
afterAll(async () => {
  await Promise.all([api, asking, alone].map((app) => app?.stop()));
  provider?.closeAllConnections();
  provider?.close();
  await environment?.close();
});

function claimsOf(id: string, use: string) {
  const { realm, ...others } = people[id] ?? {};
  return use === 'userinfo' ? { ...others, realm } : others;
}

/** A browser without scripts. */
class Browser {
  private readonly jars = new Map<string, Map<string, string>>();
  url = '';
  status = 0;
  text = '';

  /** Goes to an address, and from there where the answers lead, unless they lead to what `stop` says. */
  async open(to: string, form?: Record<string, string>, stop = /^$/): Promise<this> {
    for (let next: string | null = to, body = form; next !== null; body = undefined) {
      this.url = new URL(next, this.url || undefined).href;
      if (stop.test(this.url)) return this;
      const jar = this.cookies(this.url);
      const answer: Response = await fetch(this.url, {
        ...(body && { method: 'POST', body: new URLSearchParams(body) }),
        headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
        redirect: 'manual',
      });
      for (const cookie of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        if (value) jar.set(name, value);
        else jar.delete(name);
      }
      this.status = answer.status;
      this.text = await answer.text();
      next = answer.headers.get('location');
    }
    return this;
  }

  cookies(url: string): Map<string, string> {
    const { host } = new URL(url);
    const jar = this.jars.get(host) ?? new Map<string, string>();
    this.jars.set(host, jar);
    return jar;
  }
}

const START = '/dashboard/sign-in/openid';
const CALLBACK = /\/sign-in\/openid\/callback/;

/** Signs in at the provider, and comes back, unless `stop` keeps the browser from it. */
async function signIn(login: string, { on = api, to = '', stop = /^$/, browser = new Browser() } = {}) {
  await browser.open(`${on.url}${START}?to=${encodeURIComponent(to)}`);
  expect(browser.url).toContain(`${issuer}/interaction/`);
  await browser.open(browser.url, { prompt: 'login', login, password: 'x' }, stop);
  return browser;
}

describe('signing in by OpenID Connect', () => {
  test('is offered beside passwords, without a form that leaves the site', async () => {
    const answer = await fetch(`${api.url}/dashboard/sign-in?to=/dashboard/jobs`);
    const page = await answer.text();
    expect(page).toContain(`href="${START}?to=%2Fdashboard%2Fjobs"`);
    expect(page).toContain(`Sign in with ${new URL(issuer).host}`);
    expect(page).toContain('type="password"');
    expect(answer.headers.get('content-security-policy')).toContain("form-action 'self'");
  });

  test('gives the role of the claim, a session, an audit line by name, and an end', async () => {
    const browser = await signIn('ada', { to: '/dashboard/jobs?state=dead' });
    expect([browser.status, browser.url]).toEqual([200, `${api.url}/dashboard/jobs?state=dead`]);
    expect(browser.text).toMatch(/ada@example\.com/);
    expect(browser.cookies(api.url).size).toBe(1);
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(browser.text) ?? [];
    await browser.open('/dashboard/queues/sample-mail/pause', { csrf });
    const lines = await environment.sql(
      `select action, actor from audit where actor = 'ada@example.com' order by id`,
    );
    expect(lines).toEqual([
      { action: 'sign-in', actor: 'ada@example.com' },
      { action: 'queue.pause', actor: 'ada@example.com' },
    ]);
    await browser.open('/dashboard/sign-out', { csrf });
    await browser.open('/dashboard/jobs');
    expect(browser.url).toContain('/dashboard/sign-in?to=');
  });

  test('a viewer may not act', async () => {
    const browser = await signIn('bob');
    expect(browser.url).toBe(`${api.url}/dashboard`);
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(browser.text) ?? [];
    expect((await browser.open('/dashboard/queues/sample-mail/resume', { csrf })).status).toBe(403);
  });

  test('finds roles deeper in a claim, and in what the provider tells only when it is asked', async () => {
    const browser = await signIn('ada', { on: asking });
    expect(browser.text).toMatch(/ada@example\.com<!-- --> \(viewer\)|ada@example\.com \(viewer\)/);
  });

  test('somebody without a role is refused by a page that says so, with an audit line', async () => {
    const browser = await signIn('eve');
    expect(browser.status).toBe(403);
    expect(browser.text).toContain('knows you as eve@example.com, but gives you no role here');
    expect(await environment.sql(`select refusal from audit where actor = 'eve@example.com'`)).toHaveLength(
      1,
    );
    await browser.open('/dashboard');
    expect(browser.url).toContain('/sign-in?to=');
  });

  test('nobody takes the name of a user with a password, or one that was not confirmed or cannot be shown', async () => {
    expect((await signIn('mallory')).text).toContain('pat (OpenID Connect)');
    expect((await signIn('odd')).text).toMatch(/\bodd\b/);
  });

  test.each([
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '/dashboards',
    'javascript:alert(1)',
  ])('leads to no other place: %p', async (to) => {
    expect((await signIn('bob', { to })).url).toBe(`${api.url}/dashboard`);
  });

  test('an answer is good once, in the browser that asked, for what it asked last', async () => {
    const browser = await signIn('ada', { stop: CALLBACK });
    const callback = browser.url;
    const other = await new Browser().open(callback);
    expect([other.status, other.cookies(api.url).size]).toEqual([400, 0]);
    expect(other.text).toContain('Begin again');
    // One that was begun later counts.
    const later = new Browser();
    await later.open(`${api.url}${START}`);
    expect((await later.open(callback)).status).toBe(400);
    const kept = new Map(browser.cookies(api.url));
    expect((await browser.open(callback)).url).toBe(`${api.url}/dashboard`);
    const again = new Browser();
    for (const [name, value] of kept) again.cookies(api.url).set(name, value);
    expect((await again.open(callback)).status).toBe(403);
    expect(again.text).toContain('invalid_grant');
  });

  test('what the provider refuses, and what nobody asked for, is a page', async () => {
    const browser = new Browser();
    await browser.open(`${api.url}${START}`, undefined, /interaction/);
    const state = JSON.parse(
      Buffer.from(browser.cookies(api.url).get('warren-sign-in') ?? '', 'base64url').toString(),
    ).state;
    const denied = `${api.url}${START}/callback?error=access_denied&error_description=<b>x&state=${state}&iss=${issuer}`;
    expect((await browser.open(denied)).status).toBe(403);
    expect(browser.text).toContain('(access_denied)');
    expect(browser.text).not.toContain('<b>');
    for (const query of ['', '?code=x', '?state=x&code=x', '?error=x'])
      expect((await new Browser().open(`${api.url}${START}/callback${query}`)).status).toBe(400);
    const forged = new Browser();
    const own = { state: 's', nonce: 'n', verifier: 'v'.repeat(43), to: '//evil.example' };
    forged.cookies(api.url).set('warren-sign-in', Buffer.from(JSON.stringify(own)).toString('base64url'));
    expect((await forged.open(`${api.url}${START}/callback?state=s&code=made-up&iss=${issuer}`)).status).toBe(
      403,
    );
  });

  test('while the provider is away a page says so, and passwords go on', async () => {
    const browser = await new Browser().open(`${alone.url}${START}?to=/dashboard/jobs`);
    expect(browser.status).toBe(503);
    expect(browser.text).toContain('cannot be used at the moment');
    await browser.open('/dashboard/sign-in', { name: 'pat', password: PASSWORD, to: '/dashboard/jobs' });
    expect([browser.status, browser.url]).toEqual([200, `${alone.url}/dashboard/jobs`]);
  });

  test('a session ends when the settings give other roles, and after a day', async () => {
    const browser = await signIn('ada');
    const token = browser.cookies(api.url).get('warren') ?? '';
    const page = async (app: AppProcess) =>
      (
        await fetch(`${app.url}/dashboard/jobs`, {
          headers: { cookie: `warren=${token}` },
          redirect: 'manual',
        })
      ).status;
    const changed = await startApi({ OIDC_ROLES: 'warren-admins=viewer' });
    expect([await page(api), await page(changed)]).toEqual([200, 303]);
    await changed.stop();
    await environment.sql(
      `update dashboard_sessions set created_at = now() - interval '25 h' where role is not null`,
    );
    expect(await page(api)).toBe(303);
  });

  test('without a provider there is no such page, and without passwords no form', async () => {
    const [without, only] = await Promise.all([
      startApi({ OIDC_ISSUER: '' }),
      startApi({ DASHBOARD_USERS: '' }),
    ]);
    expect((await fetch(`${without.url}${START}`)).status).toBe(404);
    const page = await (await fetch(`${only.url}/dashboard/sign-in`)).text();
    expect(page).toContain(START);
    expect(page).not.toContain('type="password"');
    await Promise.all([without.stop(), only.stop()]);
  });
});
