import type { FastifyRequest } from 'fastify';

/** Whether a page of `/docs` is asked for. There a key may come as the password that a browser asks for. */
export const isDocs = ({ url }: Pick<FastifyRequest, 'url'>): boolean => /^\/docs([/?]|$)/.test(url);

/** The password of HTTP's Basic scheme (RFC 7617), if there is one. */
export function passwordOf(authorization: string): string | undefined {
  const [, encoded = ''] = /^Basic +(\S+) *$/i.exec(authorization) ?? [];
  return /^[^:]*:(.+)$/.exec(Buffer.from(encoded, 'base64').toString())?.[1];
}
