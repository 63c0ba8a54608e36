import { isUtf8 } from 'node:buffer';
import { type Readable, Transform } from 'node:stream';
import type { FastifyInstance, FastifyRequest, preParsingHookHandler } from 'fastify';
import { isTooDeep } from '#jobs';
import type { Sender } from './audited.js';
import { hasBody, ProblemException } from './problem.filter.js';

/** What name and options may add to a payload in a request's body. */
const ENVELOPE_BYTES = 16 * 1024;
/** Longest body that is taken from anyone who has no key: a form of the dashboard, for example. */
const PUBLIC_BYTES = 64 * 1024;
/** Shorter bodies are not counted: a connection takes up more. */
const COUNTED_BYTES = 64 * 1024;
/** While it is worked on, a body takes up several times its size in memory. */
const AT_ONCE_BYTES = 64 * 1024 * 1024;
/** Levels that a body may nest: a chain of 100 jobs and a payload of full depth. Thousands would overflow the stack. */
const MAX_DEPTH = 500;

/** What a route takes in, where that differs from the others: `@RouteConfig({ intake })`. */
export interface Intake {
  bodyLimit: number;
}

/** Has Fastify take JSON only, no more of it than a job may have, and not too much of it at once. */
export function boundBodies(fastify: FastifyInstance, maxPayload: number): void {
  const standardBudget = budget();
  fastify.addHook('onRoute', (route) => {
    const { intake, isPublic } = (route.config ?? {}) as { intake?: Intake; isPublic?: boolean };
    route.bodyLimit = intake?.bodyLimit ?? (isPublic ? PUBLIC_BYTES : maxPayload + ENVELOPE_BYTES);
    // Anyone who has no key takes nothing of what those with keys need; there are few such connections.
    if (!isPublic) route.preParsing = intake ? budget() : standardBudget;
  });
  // Keys that would reach an object's prototype are refused, not silently dropped.
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  // Nest has one of its own by now, unless it was told not to.
  fastify.removeContentTypeParser('application/json');
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
}

/** Bounds the bytes of large bodies in processing, counted as they arrive. Each client may always have one. */
function budget(): preParsingHookHandler {
  const atWork = new Map<string, number>();
  let total = 0;
  return (request: FastifyRequest & Sender, reply, payload, done) => {
    const length = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    if (!hasBody(request) || length <= COUNTED_BYTES) return done(null, payload);
    const client = request.client ?? '';
    const others = atWork.get(client) ?? 0;
    atWork.set(client, others + 1);
    let taken = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _, next) {
        taken += chunk.length;
        total += chunk.length;
        if (others === 0 || total <= AT_ONCE_BYTES) next(null, chunk);
        else
          next(new ProblemException(503, 'not-now', 'Other large requests are worked on. Try again later.'));
      },
    });
    reply.raw.once('close', () => {
      total -= taken;
      const left = (atWork.get(client) ?? 1) - 1;
      if (left > 0) atWork.set(client, left);
      else atWork.delete(client);
    });
    (payload as Readable).once('error', (error) => counted.destroy(error));
    done(null, payload.pipe(counted));
  };
}
