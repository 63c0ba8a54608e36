import type { FastifyInstance } from 'fastify';

/**
 * Nothing is loaded or run but what the dashboard itself serves, and no page of it is shown within another. It comes on
 * top of what every answer has.
 */
const HEADERS = new Map([
  [
    'content-security-policy',
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
      "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  ],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-opener-policy', 'same-origin'],
]);

const isOurs = (url: string | undefined) => /^\/dashboard(?![^/?#])/.test(url ?? '');

/** Has Fastify take forms, and send these headers, under /dashboard only. */
export function serveDashboard(fastify: FastifyInstance): void {
  fastify.server.prependListener('request', ({ url }, response) => {
    if (isOurs(url)) response.setHeaders(HEADERS);
  });
  fastify.removeContentTypeParser('application/x-www-form-urlencoded');
  fastify.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (request, body, done) => {
      if (isOurs(request.routeOptions.url))
        return done(null, Object.fromEntries(new URLSearchParams(String(body))));
      return done(Object.assign(new Error('Unsupported Media Type'), { statusCode: 415 }));
    },
  );
}
