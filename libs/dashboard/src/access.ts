import { randomBytes } from 'node:crypto';
import { Tokens } from '@fastify/csrf';
import { Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Settings } from '#config';
import { MAX_AGE_S, Sessions } from './sessions.js';

/** A viewer looks; an operator may also change things. */
export type Role = 'viewer' | 'operator';

export interface Visitor {
  name: string;
  role: Role;
  /** Goes into every form, and comes back with it: a page of somebody else's cannot know it. */
  csrf: string;
  /** Whether a form came back with such a token. */
  isFrom(csrf: unknown): boolean;
  isAnonymous: boolean;
}

/** Who gets in: `DASHBOARD_USERS` and whom `OIDC_ISSUER` knows; without them everybody, as operator, if the api listens on loopback only; else nobody. */
@Injectable()
export class Access {
  readonly mode: 'users' | 'open' | 'off';
  /** How somebody may sign in: by passwords, and by the provider of this host. */
  readonly ways: { passwords: boolean; openId?: string };
  /** Stands for the session where nobody signs in. */
  private readonly anonymous = randomBytes(32).toString('base64url');

  constructor(
    settings: Settings,
    private readonly sessions: Sessions,
  ) {
    const listensOnLoopbackOnly = settings.API_KEYS.length === 0 && settings.NODE_ENV !== 'production';
    this.ways = {
      passwords: settings.DASHBOARD_USERS.length > 0,
      openId: settings.OIDC_ISSUER && new URL(settings.OIDC_ISSUER).host,
    };
    const hasUsers = this.ways.passwords || this.ways.openId !== undefined;
    this.mode = hasUsers ? 'users' : listensOnLoopbackOnly ? 'open' : 'off';
    const logger = new Logger(Access.name);
    if (this.mode === 'off') logger.log('Dashboard is off: set DASHBOARD_USERS or OIDC_ISSUER to turn it on');
    if (this.mode === 'open')
      logger.warn('Dashboard is open to everybody on this machine: DASHBOARD_USERS is not set');
  }

  /** Who sends a request; undefined when that is not known. */
  async visitorOf(request: FastifyRequest): Promise<Visitor | undefined> {
    if (this.mode === 'open')
      return { name: 'anonymous', role: 'operator', isAnonymous: true, ...csrfOf(this.anonymous) };
    const session = sessionOf(request);
    const user = session && (await this.sessions.find(session));
    return user ? { ...user, isAnonymous: false, ...csrfOf(session) } : undefined;
  }
}

const tokens = new Tokens({ userInfo: false });

/** A token that holds for as long as the session does. */
const csrfOf = (session: string): Pick<Visitor, 'csrf' | 'isFrom'> => ({
  csrf: tokens.create(session),
  isFrom: (csrf) => typeof csrf === 'string' && tokens.verify(session, csrf),
});

/** The session that a request carries. */
export function sessionOf(request: FastifyRequest): string | undefined {
  const session = cookieIn(request);
  return session && /^[\w-]{43}$/.test(session) ? session : undefined;
}

/** Has the browser keep a session, or forget it. It does not go along with requests that other sites make, but for links. */
export const keepSession = (request: FastifyRequest, reply: FastifyReply, session = ''): FastifyReply =>
  keepCookie(request, reply, '', session, session ? MAX_AGE_S : 0);

/** The same of another cookie, named by what is added to the session's. */
export function keepCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  suffix: string,
  value: string,
  maxAge: number,
): FastifyReply {
  const name = cookieOf(request);
  const options = { path: '/', httpOnly: true, sameSite: 'lax', maxAge, secure: name !== 'warren' } as const;
  return reply.setCookie(`${name}${suffix && `-${suffix}`}`, value, options);
}

export const cookieIn = (request: FastifyRequest, suffix = ''): string | undefined =>
  request.server.parseCookie(request.headers.cookie ?? '')[`${cookieOf(request)}${suffix && `-${suffix}`}`];

/** The cookie's name; over HTTPS one that browsers take from this host only. A forged header affects its sender's cookie only. */
const cookieOf = ({ headers, protocol }: FastifyRequest): string =>
  protocol === 'https' || headers['x-forwarded-proto'] === 'https' ? '__Host-warren' : 'warren';
