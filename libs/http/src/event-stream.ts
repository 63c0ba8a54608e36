import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** Proxies close connections on which nothing comes, many of them after 30 or 60 s. */
export const KEEP_ALIVE_MS = 15_000;

/** Server-sent events for one client. Keeps the connection alive while there is nothing to tell. */
export class EventStream extends Readable {
  private readonly keepAlive = setInterval(() => {
    // While the client does not read, nothing is gathered for it.
    if (this.readableLength === 0) this.push(': still here\n\n');
  }, KEEP_ALIVE_MS).unref();

  /** @param reconnectMs how long the client waits before it connects again. */
  constructor(reconnectMs: number) {
    super();
    this.push(`retry: ${reconnectMs}\n\n`);
  }

  /** Ends it after what was told. */
  stop(): void {
    clearInterval(this.keepAlive);
    this.push(null);
  }

  override _read(): void {}

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.keepAlive);
    done(error);
  }
}

/** Has an answer be server-sent events. */
export const announceEvents = (reply: FastifyReply): FastifyReply =>
  reply
    .header('content-type', 'text/event-stream')
    .header('cache-control', 'no-cache')
    // For nginx, which would gather events before it hands them on.
    .header('x-accel-buffering', 'no');
