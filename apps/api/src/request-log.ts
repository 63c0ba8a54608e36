import type { FastifyInstance } from 'fastify';
import type { Log } from '#telemetry';

/**
 * Logs one line for each request that failed by no fault of its client. It names the route and not the path, and has
 * nothing of headers, query or body. Requests that went well are not logged: they are counted.
 */
export function logFailedRequests(fastify: FastifyInstance, log: Log): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const { statusCode: status, elapsedTime } = reply;
    if (status >= 500) {
      const route = request.routeOptions.url;
      log.info({ method: request.method, route, status, ms: Math.round(elapsedTime) }, 'Request failed');
    }
    done();
  });
}
