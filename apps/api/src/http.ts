import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { type Settings, SettingsError } from '#config';
import { isTooDeep } from '#jobs';
import { observeRequests } from './observe-requests.js';
import { answer, ProblemException } from './problem.filter.js';

/** What name and options may add to a payload in a request's body. */
const ENVELOPE_BYTES = 16 * 1024;
/**
 * Levels that a body may nest: a chain of a hundred jobs, the last with a payload as deep as one may be, and some to
 * spare. Some thousands would overflow the stack of whoever looks at it.
 */
const MAX_DEPTH = 500;

/** How long clients have to read what was answered, and to send what they had begun, when the api ends. */
const FAREWELL_MS = 5_000;

/**
 * What every answer tells browsers and proxies: take the content type as it is said, and keep no copy of what only
 * somebody with a key may see.
 */
const CAUTION = new Map([
  ['x-content-type-options', 'nosniff'],
  ['cache-control', 'no-store'],
]);

/**
 * Without keys anybody who reaches the api may use it, so it then listens where only this machine does, unless `LISTEN_ADDRESS`
 * says where.
 *
 * @throws SettingsError in production, where that is surely not meant.
 */
export function listenAddress({ API_KEYS, LISTEN_ADDRESS, NODE_ENV }: Settings): string {
  if (API_KEYS.length > 0) return LISTEN_ADDRESS ?? '0.0.0.0';
  if (NODE_ENV !== 'production') return LISTEN_ADDRESS ?? '127.0.0.1';
  throw new SettingsError(
    'API_KEYS is not set and NODE_ENV is production: set at least one key, for example API_KEYS=$(openssl rand -hex 24)',
  );
}

/** What a route takes in, where that differs from the others: `@RouteConfig({ intake })`. */
export interface Intake {
  /** Longest body, in bytes. */
  bodyLimit: number;
  /** Bytes of all bodies that are worked on at once; the next request is told to come later, before its body is read. */
  atOnce: number;
}

/** Fastify, taking JSON only, and no more of it than a job may have. */
export function makeHttpAdapter({ MAX_PAYLOAD }: Settings): FastifyAdapter {
  // A body that is longer is refused by its content-length, or as soon as that much was read.
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_PAYLOAD + ENVELOPE_BYTES,
    forceCloseConnections: 'idle',
    frameworkErrors: answer,
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  closeUnusedConnections(fastify);
  cutSlowConnections(fastify);
  observeRequests(fastify);
  // On the response itself, so that no way to answer is without them; a route may set others of the same name.
  fastify.server.prependListener('request', (_, response) => response.setHeaders(CAUTION));
  fastify.addHook('onRoute', (route) => {
    const { intake } = (route.config ?? {}) as { intake?: Intake };
    if (!intake) return;
    route.bodyLimit = intake.bodyLimit;
    route.onRequest = bounded(intake);
  });
  // Keys that would reach an object's prototype are refused, not silently dropped.
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // Calls without a body, such as cancel, may still name a content type.
    if (body.length === 0) return done(null, undefined);
    // Reading it all the same would accept a payload that is not what was sent.
    if (!isUtf8(body as Buffer)) return done(new ProblemException(400, 'not-utf-8', 'The body is not UTF-8'));
    const text = body.toString();
    if (isTooDeep(text, MAX_DEPTH))
      return done(
        new ProblemException(400, 'too-deep', `The body is nested more than ${MAX_DEPTH} levels deep`),
      );
    return parseJson(request, text, done);
  });
  return adapter;
}

/**
 * Node takes a connection on which nothing was sent yet for a busy one, and a server that closes waits a minute for it.
 * Browsers and Node's own fetch open such connections in advance.
 */
function closeUnusedConnections(fastify: FastifyInstance): void {
  const unused = new Set<Socket>();
  fastify.server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  fastify.server.on('request', ({ socket }) => unused.delete(socket));
  fastify.addHook('preClose', async () => {
    for (const socket of unused) socket.destroy();
  });
}

/** A client that does not read its answer, or never ends its request, must not keep the api from ending. */
function cutSlowConnections(fastify: FastifyInstance): void {
  fastify.addHook('preClose', async () => {
    setTimeout(() => fastify.server.closeAllConnections(), FAREWELL_MS).unref();
  });
}

/** Lets requests of a route in as long as their bodies together are no longer than may be. */
function bounded({ bodyLimit, atOnce }: Intake): onRequestHookHandler {
  let inside = 0;
  return ({ headers }, reply, done) => {
    // A body that does not tell its length may have any that is allowed.
    const length = Number(headers['content-length'] ?? bodyLimit);
    if (inside > 0 && inside + length > atOnce) {
      done(new ProblemException(503, 'not-now', 'Other large requests are worked on. Try again later.'));
      return;
    }
    inside += length;
    reply.raw.once('close', () => {
      inside -= length;
    });
    done();
  };
}
