import { Get, NotFoundException, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { VNode } from 'preact';
import { z } from 'zod';
import { Audit } from '#records';
import { Access, cookieIn, keepCookie, keepSession } from '../access.js';
import { isOurs } from '../addresses.js';
import { DashboardController, type DashboardRequest, Open } from '../dashboard.guard.js';
import { OpenId, SignInError } from '../openid.js';
import { Sessions } from '../sessions.js';
import { networkOf, SignInLanes } from '../sign-in-limits.js';
import { placeOf, SignIn } from './sign-in.page.js';

/** How long somebody may take at the provider. */
const ATTEMPT_S = 600;
/** Longer ones might not fit in a cookie. */
const MAX_PLACE = 1_000;

/** What the cookie holds while somebody signs in. */
const Kept = z.object({ state: z.string(), nonce: z.string(), verifier: z.string(), to: z.string() });

/** The sign-in by OpenID Connect: to the provider, and back. */
@DashboardController('/sign-in/openid')
export class OpenIdPage {
  private readonly lanes = new SignInLanes();

  constructor(
    private readonly access: Access,
    private readonly openId: OpenId,
    private readonly sessions: Sessions,
    private readonly audit: Audit,
  ) {}

  @Open()
  @Get()
  async begin(
    @Query('to') to: unknown,
    @Req() request: DashboardRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<VNode | undefined> {
    return this.orPage(to, reply, async () => {
      const { url, attempt } = await this.openId.begin();
      const place = isOurs(to) && String(to).length <= MAX_PLACE ? String(to) : '/dashboard';
      const kept = Buffer.from(JSON.stringify({ ...attempt, to: place })).toString('base64url');
      keepCookie(request, reply, 'sign-in', kept, ATTEMPT_S).redirect(url.href, 303);
    });
  }

  @Open()
  @Get('callback')
  async finish(
    @Req() request: DashboardRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<VNode | undefined> {
    const kept = readKept(cookieIn(request, 'sign-in'));
    return this.orPage(kept?.to, reply, async () => {
      if (!kept)
        throw new SignInError(
          400,
          'This sign-in took too long, or was begun in another browser. Begin again.',
        );
      keepCookie(request, reply, 'sign-in', '', 0);
      const network = networkOf(request.ip);
      const person = await this.lanes.run(network, '', () =>
        this.openId.finish(new URL(request.url, 'http://localhost').search, kept),
      );
      if (!person) throw new SignInError(429, 'Too many sign in at the moment. Begin again.');
      this.lanes.remember(network, '');
      const entry = { actor: person.name, via: 'dashboard', action: 'sign-in', subject: request.ip } as const;
      if (!person.role) {
        await this.audit.refusal(entry, 'The provider gives no role');
        throw new SignInError(
          403,
          `The provider knows you as ${person.name}, but gives you no role here. Ask those who run Warren for one.`,
        );
      }
      const session = await this.sessions.beginOpenId(person.name, person.role);
      await this.audit.record(entry, async () => 1);
      keepSession(request, reply, session).redirect(placeOf(kept.to), 303);
    });
  }

  /** Does it, or answers with the sign-in and what was wrong. */
  private async orPage(
    to: unknown,
    reply: FastifyReply,
    task: () => Promise<void>,
  ): Promise<VNode | undefined> {
    const { ways } = this.access;
    if (!ways.openId) throw new NotFoundException();
    try {
      await task();
      return undefined;
    } catch (error) {
      if (!(error instanceof SignInError)) throw error;
      reply.status(error.status);
      return <SignIn to={to} ways={ways} problem={error.message} />;
    }
  }
}

function readKept(cookie: string | undefined): z.output<typeof Kept> | undefined {
  try {
    return Kept.parse(JSON.parse(Buffer.from(cookie ?? '', 'base64url').toString()));
  } catch {
    return undefined;
  }
}
