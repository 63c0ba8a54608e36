import cookies from '@fastify/cookie';
import forms from '@fastify/formbody';
import { UnsupportedMediaTypeException } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { hasBody } from '#http';
import { isOurs } from './addresses.js';

/** Nothing is loaded or run but what the dashboard itself serves, and no page of it is shown within another. */
const HEADERS = new Map([
  [
    'content-security-policy',
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
      "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  ],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-opener-policy', 'same-origin'],
]);
const FORM = 'application/x-www-form-urlencoded';

/** Has Fastify take forms, and send these headers, under /dashboard only; and read cookies where asked to. */
export function serveDashboard(fastify: FastifyInstance): void {
  fastify.server.prependListener('request', ({ url }, response) => {
    if (isOurs(url)) response.setHeaders(HEADERS);
  });
  // Nest has a parser of its own by now, unless it was told not to.
  fastify.removeContentTypeParser(FORM);
  fastify.register(forms);
  fastify.addHook('preParsing', (request, _, payload, done) => {
    const isForm = hasBody(request) && request.headers['content-type']?.toLowerCase().startsWith(FORM);
    done(isForm && !isOurs(request.routeOptions.url) ? new UnsupportedMediaTypeException() : null, payload);
  });
  // An app of a clone's own may have it already.
  if (!fastify.hasDecorator('parseCookie')) fastify.register(cookies, { hook: false });
}
