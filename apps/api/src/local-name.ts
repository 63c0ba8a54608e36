import type { FastifyRequest } from 'fastify';

/** What a client on this machine, or in the same container network, may call it: web pages have dots in their names. */
const LOCAL = /^([a-z0-9_-]+|127(\.\d{1,3}){3}|\[?::1\]?)$/i;

/**
 * Whether a request calls this machine by a name that no web page has. Where everybody gets in, a page that has its
 * own name resolve to this machine's address (DNS rebinding) would be taken by a browser for a part of the api. Only
 * what is no browser may leave the name out.
 */
export const isForLocalName = ({ hostname }: FastifyRequest): boolean => !hostname || LOCAL.test(hostname);
