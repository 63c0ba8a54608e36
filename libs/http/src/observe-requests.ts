import type { FastifyInstance, FastifyRequest } from 'fastify';
import { metrics, readTraceHeaders, type Step, startStep } from '#telemetry';

/** Health checks and scrapes are not traced. */
const UNTRACED = /^\/(health|metrics)\b/;

/** Measures each request and makes it a step of a trace, by the template of its route: `/jobs/:id`, not the id. */
export function observeRequests(fastify: FastifyInstance): void {
  const steps = new WeakMap<FastifyRequest, Step>();

  fastify.addHook('onRequest', (request, _, done) => {
    const { method, route } = labelsOf(request);
    if (!UNTRACED.test(route)) {
      const describe = () => ({
        name: `${method} ${route}`,
        kind: 'SERVER' as const,
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'url.path': request.url.split('?')[0],
          'url.scheme': request.protocol,
        },
      });
      steps.set(request, startStep(readTraceHeaders(request.headers), describe));
    }
    done();
  });
  // The body was read meanwhile, on the socket's behalf: what comes now runs on the request's.
  fastify.addHook('preValidation', (request, _, done) => {
    const step = steps.get(request);
    if (step) step.run(done);
    else done();
  });
  fastify.addHook('onResponse', (request, { statusCode, elapsedTime }, done) => {
    const { method, route } = labelsOf(request);
    const status = `${Math.floor(statusCode / 100)}xx`;
    metrics.httpRequests.observe({ method, route, status }, elapsedTime / 1_000);
    steps
      .get(request)
      ?.end(statusCode >= 500 ? String(statusCode) : undefined, { 'http.response.status_code': statusCode });
    done();
  });
}

/** Node takes only the methods that it knows, so these are few. */
const labelsOf = ({ method, routeOptions }: FastifyRequest) => ({
  method,
  route: routeOptions.url ?? 'other',
});
