import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Agent, type Dispatcher, request } from 'undici';
import { Settings } from '#config';
import { NonRetryableError } from '#jobs';
import { publicConnector } from './public-connector.js';

/** Name resolution, TCP and TLS together. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Until the header of the answer, and between two pieces of its body. Standard Webhooks advises 15 to 30 s in all. */
const ANSWER_TIMEOUT_MS = 20_000;
/** A slow server must neither be flooded by us nor take all our sockets. */
const CONNECTIONS_PER_ORIGIN = 10;
/** For the rest of an answer that only an error message or the reuse of the connection is waiting for. */
const EXCERPT_TIMEOUT_MS = 1_000;

/** HTTP to addresses that came in a payload: into the public internet only, without redirects, within limits. */
@Injectable()
export class OutboundHttp implements OnApplicationShutdown {
  private readonly agent: Agent;

  constructor(settings: Settings) {
    this.agent = new Agent({
      connect: settings.ALLOW_PRIVATE_TARGETS
        ? { timeout: CONNECT_TIMEOUT_MS }
        : publicConnector(CONNECT_TIMEOUT_MS),
      connections: CONNECTIONS_PER_ORIGIN,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    });
  }

  /**
   * Sends one request. Redirects are not followed. The caller reads the body, or ends it with {@link readStart}.
   *
   * @throws RefusedTargetError when the address is not public and `ALLOW_PRIVATE_TARGETS` is not set.
   * @throws NonRetryableError when the URL carries a user name or password.
   * @throws the signal's reason when aborted; an Error that names host and cause when no answer came.
   */
  async request(
    url: string,
    options: { method: 'GET' | 'POST'; headers?: Record<string, string>; body?: string; signal: AbortSignal },
  ): Promise<Dispatcher.ResponseData> {
    const { host, username, password } = new URL(url);
    if (username || password) {
      throw new NonRetryableError(
        'The URL carries a user name or password: take them out, they would be stored',
      );
    }
    try {
      const headers = { 'user-agent': 'Warren', 'accept-encoding': 'identity', ...options.headers };
      return await request(url, { ...options, headers, dispatcher: this.agent });
    } catch (error) {
      if (options.signal.aborted) throw options.signal.reason;
      if (error instanceof NonRetryableError) throw error;
      // When several addresses of a host fail, Node throws an AggregateError without a message.
      const { message, code } = error as NodeJS.ErrnoException;
      throw new Error(`No answer from ${host}: ${message || code}`, { cause: error });
    }
  }

  /**
   * Reads a file into memory.
   *
   * @param options.maxBytes largest size that is accepted.
   * @throws NonRetryableError when it is larger; an Error with the status when that is not 200; and as `request` does.
   */
  async download(
    url: string,
    { maxBytes, signal }: { maxBytes: number; signal: AbortSignal },
  ): Promise<Buffer> {
    const { statusCode, headers, body } = await this.request(url, { method: 'GET', signal });
    if (statusCode !== 200) {
      await readStart(body, 0);
      throw new Error(`${describeStatus(url, statusCode)}: 200 and the file itself are needed`);
    }
    const chunks: Buffer[] = [];
    let size = Number(headers['content-length'] ?? 0);
    if (size <= maxBytes) {
      size = 0;
      for await (const chunk of body) {
        size += chunk.length;
        if (size > maxBytes) break;
        chunks.push(chunk);
      }
    }
    if (size <= maxBytes) return Buffer.concat(chunks);
    body.on('error', () => {}).destroy();
    throw new NonRetryableError(
      `The file at ${new URL(url).host} is larger than ${maxBytes} bytes: offer a smaller one`,
    );
  }

  async onApplicationShutdown(): Promise<void> {
    await this.agent.destroy();
  }
}

/**
 * Reads the start of a body and lets go of the rest, so that neither its length nor its pace matters.
 *
 * @returns what came within a second, at most `maxBytes` and a piece; never throws.
 */
export async function readStart(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string> {
  const timer = setTimeout(() => body.destroy(), EXCERPT_TIMEOUT_MS);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) break;
    }
  } catch {
    // Cut off by the server, the timer or the job's signal: what came is as good as any other start.
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}

/** Names the host, not the whole URL: paths and queries of subscribers' URLs often hold secrets. */
export function describeStatus(url: string, status: number): string {
  const redirect = status >= 300 && status < 400 ? ', a redirect, and redirects are not followed' : '';
  return `${new URL(url).host} answered ${status}${redirect}`;
}
