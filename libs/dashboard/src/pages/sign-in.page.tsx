import { Body, Get, HttpCode, Logger, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { VNode } from 'preact';
import { Audit } from '#records';
import { Access, keepSession, sessionOf } from '../access.js';
import { address, isOurs } from '../addresses.js';
import { Page } from '../components/page.js';
import { Text } from '../components/values.js';
import { DashboardController, type DashboardRequest, ForAllRoles, Open } from '../dashboard.guard.js';
import { Sessions } from '../sessions.js';
import { FailedAttempts, networkOf, SignInLanes } from '../sign-in-limits.js';

/** No password is longer; hashing a megabyte is work that nobody should ask for. */
const MAX_LENGTH = 200;
/** When there is room again for somebody whose attempt could not wait. */
const BUSY_S = 1;
const WRONG = 'Wrong name or password.';

@DashboardController()
export class SignInPage {
  private readonly logger = new Logger('Dashboard');
  private readonly failed = new FailedAttempts();
  private readonly lanes = new SignInLanes();

  constructor(
    private readonly access: Access,
    private readonly sessions: Sessions,
    private readonly audit: Audit,
  ) {}

  @Open()
  @Get('sign-in')
  show(@Query('to') to: unknown, @Res({ passthrough: true }) reply: FastifyReply): VNode | undefined {
    if (this.access.mode === 'users') return <SignIn to={to} ways={this.access.ways} />;
    reply.redirect('/dashboard', 303);
  }

  @Open()
  @Post('sign-in')
  @HttpCode(200)
  async signIn(
    @Body() body: Record<string, unknown> | undefined,
    @Req() request: DashboardRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<VNode | undefined> {
    const { name, password, to } = body ?? {};
    const { ways } = this.access;
    if (typeof name !== 'string' || typeof password !== 'string') return <SignIn to={to} ways={ways} />;
    if (name.length > MAX_LENGTH || password.length > MAX_LENGTH) {
      reply.status(401);
      return <SignIn to={to} ways={ways} name={name.slice(0, MAX_LENGTH)} problem={WRONG} />;
    }
    const network = networkOf(request.ip);
    const attempt = this.lanes.run(network, name, () => this.attempt(network, name, password));
    const { waitS, session } = (await attempt) ?? { waitS: BUSY_S };
    if (waitS > 0) {
      reply.status(429).header('retry-after', waitS);
      return (
        <SignIn to={to} ways={ways} name={name} problem={`Too many attempts. Try again in ${waitS} s.`} />
      );
    }
    if (!session) {
      this.logger.warn({ msg: 'Dashboard sign-in failed: wrong name or password', ip: request.ip });
      reply.status(401);
      return <SignIn to={to} ways={ways} name={name} problem={WRONG} />;
    }
    this.lanes.remember(network, name);
    const entry = { actor: name, via: 'dashboard', action: 'sign-in', subject: request.ip } as const;
    await this.audit.record(entry, async () => 1);
    keepSession(request, reply, session).redirect(placeOf(to), 303);
  }

  @ForAllRoles()
  @Post('sign-out')
  async signOut(
    @Req() request: DashboardRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const session = sessionOf(request);
    if (session) await this.sessions.end(session);
    keepSession(request, reply).redirect('/dashboard/sign-in', 303);
  }

  private async attempt(
    network: string,
    name: string,
    password: string,
  ): Promise<{ waitS: number; session?: string }> {
    const key = `${network} ${name}`;
    const waitS = await this.failed.count(key);
    const session = waitS === 0 ? await this.sessions.begin(name, password) : undefined;
    if (session) await this.failed.forget(key);
    return { waitS, session };
  }
}

/** Where somebody was before signing in, if it was here. */
export const placeOf = (to: unknown) => (isOurs(to) ? String(to) : '/dashboard');

interface SignInProps {
  to: unknown;
  ways: Access['ways'];
  name?: string;
  problem?: string;
}

export function SignIn({ to, ways, name = '', problem }: SignInProps) {
  return (
    <Page title="Sign in">
      <div class="sign-in card">
        <p class="problem" role="alert">
          {problem}
        </p>
        {ways.openId && (
          <Text
            to={address('/sign-in/openid', { to: placeOf(to) })}
            kind="button primary"
            of={`Sign in with ${ways.openId}`}
          />
        )}
        {ways.passwords && <PasswordForm to={placeOf(to)} name={name} />}
      </div>
    </Page>
  );
}

function PasswordForm({ to, name }: { to: string; name: string }) {
  const common = { maxLength: MAX_LENGTH, required: true };
  return (
    <form class="sign-in" method="post" action="/dashboard/sign-in">
      <input type="hidden" name="to" value={to} />
      <label>
        Name
        <input name="name" value={name} autoComplete="username" autofocus={!name} {...common} />
      </label>
      <label>
        Password
        <input
          type="password"
          name="password"
          autoComplete="current-password"
          autofocus={!!name}
          {...common}
        />
      </label>
      <button type="submit" class="primary">
        Sign in
      </button>
    </form>
  );
}
