import type { FastifyInstance } from 'fastify';
import type { Log } from '#telemetry';

/** Logs requests that failed by no fault of their client: the route, not the path, and nothing of headers, query or body. */
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
