import type { FastifyInstance } from 'fastify';

/** Forms of the dashboard are short. */
const FORM_BYTES = 64 * 1024;

/**
 * Nothing is loaded or run but what the dashboard itself serves, no page of it is shown within another, and no
 * browser or proxy keeps one.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

const isOurs = (url: string | undefined) => /^\/dashboard(?![^/?#])/.test(url ?? '');

/** Has Fastify take forms, and send these headers, under /dashboard only. */
export function serveDashboard(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', async ({ url }, reply) => {
    if (isOurs(url)) reply.headers(HEADERS);
  });
  fastify.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: FORM_BYTES },
    (request, body, done) => {
      if (isOurs(request.routeOptions.url))
        return done(null, Object.fromEntries(new URLSearchParams(String(body))));
      return done(Object.assign(new Error('Unsupported Media Type'), { statusCode: 415 }));
    },
  );
}
