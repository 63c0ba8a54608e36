import type { FastifyInstance } from 'fastify';
import { metrics } from '#telemetry';

/** Measures each request, by the template of its route: `/jobs/:id`, not the id. */
export function observeRequests(fastify: FastifyInstance): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const { url: route = 'other' } = request.routeOptions;
    metrics.httpRequests.observe(
      {
        // Without a route, whatever method the client chose.
        method: route === 'other' ? 'other' : request.method,
        route,
        status: `${Math.floor(reply.statusCode / 100)}xx`,
      },
      reply.elapsedTime / 1_000,
    );
    done();
  });
}
