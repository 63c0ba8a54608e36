import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Settings } from '#config';
import { Sessions } from './sessions.js';

/** A viewer looks; an operator may also change things. */
export type Role = 'viewer' | 'operator';

/** Who looks at the dashboard. */
export interface Visitor {
  name: string;
  role: Role;
  /** Goes into every form, and comes back with it: a page of somebody else's cannot know it. */
  csrf: string;
  /** Nobody was asked who it is. */
  isAnonymous: boolean;
}

/**
 * Who gets in. With `DASHBOARD_USERS` those users; without, everybody who reaches an api that listens on loopback
 * only, as operator; otherwise nobody: there is no dashboard then.
 */
@Injectable()
export class Access {
  readonly mode: 'users' | 'open' | 'off';
  /** Stands for the session where nobody signs in. */
  private readonly anonymous = randomBytes(32).toString('base64url');

  constructor(
    settings: Settings,
    private readonly sessions: Sessions,
  ) {
    const listensOnLoopbackOnly = settings.API_KEYS.length === 0 && settings.NODE_ENV !== 'production';
    this.mode = settings.DASHBOARD_USERS.length > 0 ? 'users' : listensOnLoopbackOnly ? 'open' : 'off';
    const logger = new Logger(Access.name);
    if (this.mode === 'off') logger.log('Dashboard is off: set DASHBOARD_USERS to turn it on');
    if (this.mode === 'open')
      logger.warn('Dashboard is open to everybody on this machine: DASHBOARD_USERS is not set');
  }

  /** Who sends a request; undefined when that is not known. */
  async visitorOf(request: FastifyRequest): Promise<Visitor | undefined> {
    if (this.mode === 'open') {
      return { name: 'anonymous', role: 'operator', csrf: csrfOf(this.anonymous), isAnonymous: true };
    }
    const token = tokenOf(request);
    const user = token && (await this.sessions.find(token));
    return user ? { ...user, csrf: csrfOf(token), isAnonymous: false } : undefined;
  }
}

/**
 * The cookie of a session. Over HTTPS its name makes browsers refuse it from anywhere but this host; it does not go
 * along with requests that other sites make, but for links to the dashboard.
 */
export function cookieOf(request: FastifyRequest, token: string, maxAgeS: number): string {
  const attributes = `Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeS}`;
  return isSecure(request)
    ? `__Host-warren=${token}; ${attributes}; Secure`
    : `warren=${token}; ${attributes}`;
}

/** The session's token that a request carries. */
export function tokenOf(request: FastifyRequest): string | undefined {
  const name = isSecure(request) ? '__Host-warren' : 'warren';
  const pairs = (request.headers.cookie ?? '').split(/; */).map((pair) => pair.split('='));
  const token = pairs.find(([key]) => key === name)?.[1];
  return token && /^[\w-]{43}$/.test(token) ? token : undefined;
}

/** Whether a form was sent with the token of the visitor's own page. */
export function hasToken(visitor: Visitor, body: unknown): boolean {
  const { csrf } = (body ?? {}) as { csrf?: unknown };
  const [given, wanted] = [Buffer.from(String(csrf)), Buffer.from(visitor.csrf)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** As the proxy says. A client that sends this header itself affects only its own cookie. */
const isSecure = ({ headers, protocol }: FastifyRequest): boolean =>
  protocol === 'https' || headers['x-forwarded-proto'] === 'https';

const csrfOf = (token: string) => createHash('sha256').update(`csrf ${token}`).digest('base64url');
