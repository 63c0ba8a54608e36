import type { FastifyRequest } from 'fastify';

/** The names of this machine: no web page of another one can have them, whatever its DNS says. */
const LOCAL = /^(([a-z0-9_-]+\.)*localhost\.?|127(\.\d{1,3}){3}|\[?::1\]?)$/i;

/**
 * Whether a request calls this machine by its own name. Else a page that resolves its name to this machine (DNS rebinding)
 * would reach an api without keys. Only what is no browser may leave the name out.
 */
export const isForLocalName = ({ hostname }: FastifyRequest): boolean => !hostname || LOCAL.test(hostname);

/** Whether a request changes something, by its method. */
export const isAction = ({ method }: Pick<FastifyRequest, 'method'>): boolean =>
  method !== 'GET' && method !== 'HEAD';

/** Whether a request comes from a page of this api or from no page, as browsers tell it; what tells nothing is no browser. */
export function isFromHere({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  if (headers.origin === undefined) return true;
  const hosts = [headers.host, headers['x-forwarded-host']];
  return URL.canParse(headers.origin) && hosts.includes(new URL(headers.origin).host);
}
