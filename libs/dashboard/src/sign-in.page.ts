import { Body, Get, HttpCode, Logger, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Audit } from '#records';
import { Access, cookieOf, tokenOf } from './access.js';
import { FailedAttempts, networkOf, SignInLanes } from './attempts.js';
import { DashboardController, type DashboardRequest, ForAllRoles, Open } from './dashboard.guard.js';
import { attribute, type Html, html } from './html.js';
import { page } from './layout.js';
import { MAX_AGE_S, Sessions } from './sessions.js';

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
  show(@Query('to') to: unknown, @Res({ passthrough: true }) reply: FastifyReply): Html | undefined {
    if (this.access.mode === 'users') return form(to);
    reply.redirect('/dashboard', 303);
  }

  @Open()
  @Post('sign-in')
  @HttpCode(200)
  async signIn(
    @Body() body: Record<string, unknown> | undefined,
    @Req() request: DashboardRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Html | undefined> {
    const { name, password, to } = body ?? {};
    if (typeof name !== 'string' || typeof password !== 'string') return form(to);
    if (name.length > MAX_LENGTH || password.length > MAX_LENGTH) {
      reply.status(401);
      return form(to, name.slice(0, MAX_LENGTH), WRONG);
    }
    const network = networkOf(request.ip);
    const key = `${network} ${name}`;
    const waitS = this.failed.waitS(key);
    const attempt =
      waitS === 0 ? this.lanes.run(network, name, () => this.sessions.begin(name, password)) : undefined;
    if (!attempt) {
      const againS = waitS || BUSY_S;
      reply.status(429).header('retry-after', againS);
      return form(to, name, `Too many attempts. Try again in ${againS} s.`);
    }
    this.failed.count(key);
    const session = await attempt;
    if (!session) {
      this.logger.warn({ msg: 'Dashboard sign-in failed: wrong name or password', ip: request.ip });
      reply.status(401);
      return form(to, name, WRONG);
    }
    this.failed.forget(key);
    await this.audit.record(
      { actor: name, via: 'dashboard', action: 'sign-in', subject: request.ip },
      async () => 1,
    );
    reply.header('set-cookie', cookieOf(request, session, MAX_AGE_S)).redirect(placeOf(to), 303);
  }

  @ForAllRoles()
  @Post('sign-out')
  async signOut(
    @Req() request: DashboardRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const session = tokenOf(request);
    if (session) await this.sessions.end(session);
    reply.header('set-cookie', cookieOf(request, '', 0)).redirect('/dashboard/sign-in', 303);
  }
}

/** Where somebody was before signing in, if it was here. */
const placeOf = (to: unknown) =>
  typeof to === 'string' && /^\/dashboard(?![^/?#])/.test(to) ? to : '/dashboard';

const form = (to: unknown, name = '', problem = '') =>
  page({
    title: 'Sign in',
    body: html`<form class="sign-in" method="post" action="/dashboard/sign-in">
<h1>Sign in</h1>
${problem && html`<p class="problem" role="alert">${problem}</p>`}
<input type="hidden" name="to" value="${placeOf(to)}">
<label>Name<input name="name" value="${name}" autocomplete="username" autocapitalize="none" maxlength="${MAX_LENGTH}" ${attribute('required', true)} ${attribute('autofocus', name === '')}></label>
<label>Password<input name="password" type="password" autocomplete="current-password" maxlength="${MAX_LENGTH}" ${attribute('required', true)} ${attribute('autofocus', name !== '')}></label>
<button class="primary">Sign in</button>
</form>`,
  });
