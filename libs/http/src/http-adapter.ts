import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type Settings, SettingsError } from '#config';
import { answer } from './problem.filter.js';

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

/** Fastify, with what can be said only when it is made. `HttpModule` does the rest, no matter who made it. */
export function makeHttpAdapter({ TRUSTED_PROXIES }: Settings): FastifyAdapter {
  const adapter = new FastifyAdapter({
    forceCloseConnections: 'idle',
    frameworkErrors: answer,
    // HttpModule says so with problem details.
    return503OnClosing: false,
    trustProxy: TRUSTED_PROXIES.length > 0 && TRUSTED_PROXIES,
  });
  adapter.getInstance().removeContentTypeParser('text/plain');
  return adapter;
}
