import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Settings } from '#config';
import { problemOf, SECURITY_HEADERS } from './problem.filter.js';

/** How long the head of a request may take, and a connection may stay before it sends one. */
const HEAD_MS = 15_000;
/** How long clients have to read what was answered, and to send what they had begun, when the api ends. */
const CLOSE_TIMEOUT_MS = 5_000;
/** How long what a client still sends is thrown away before its connection is closed: else it may miss the answer. */
const LINGER_MS = 1_000;
/** Connections that have shown no key: for one more, the oldest of them goes. */
const MAX_ANONYMOUS = 500;
const MAX_CONNECTIONS = 10_000;

/** Errors of Node's parser that are not just a bad request. */
const PARSER_ERRORS: Record<string, [status: number, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not come in time: send it without pauses'],
  HPE_HEADER_OVERFLOW: [431, 'The headers are longer than 16 KiB'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunks have extensions that are too long'],
};

/** The connections of the api: how many there may be, for how long, and what they are told when they send no HTTP. */
@Injectable()
export class Connections {
  isClosing = false;
  private readonly anonymous = new Set<Socket>();
  /** Connections without a request. Node takes them for busy, and a server that closes waits a minute for them. */
  private readonly unused = new Set<Socket>();

  constructor(private readonly settings: Settings) {}

  /** The sender of this request has a key: its connection makes room for no other. */
  welcome({ raw: { socket } }: FastifyRequest): void {
    this.anonymous.delete(socket);
  }

  attend(fastify: FastifyInstance): void {
    const { server } = fastify;
    const { REQUEST_TIMEOUT } = this.settings;
    server.headersTimeout = Math.min(HEAD_MS, REQUEST_TIMEOUT);
    server.requestTimeout = REQUEST_TIMEOUT;
    server.maxConnections = MAX_CONNECTIONS;
    // Both are read when the server begins to listen; the first leaves the answer about a missing Host to HttpModule.
    Object.assign(server, {
      requireHostHeader: false,
      connectionsCheckingInterval: server.headersTimeout / 4,
    });
    server.on('connection', (socket) => this.accept(socket));
    server.removeAllListeners('clientError');
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.refuse(error, socket as Socket));
    // On the response itself, so that no way to answer is without them; a route may set others of the same name.
    server.prependListener('request', ({ socket }, response) => {
      response.setHeaders(SECURITY_HEADERS);
      this.unused.delete(socket);
    });
    letHooksAnswer(server);
    server.on('connect', (_, socket) => tell(socket as Socket, 405, 'The api is not a proxy'));
    fastify.addHook('preClose', async () => {
      this.isClosing = true;
      for (const socket of this.unused) socket.destroy();
      // A client that does not read its answer, or never ends its request, must not keep the api from ending.
      setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS).unref();
    });
  }

  private accept(socket: Socket): void {
    for (const set of [this.unused, this.anonymous]) {
      set.add(socket);
      socket.once('close', () => set.delete(socket));
    }
    const [oldest] = this.anonymous;
    if (this.anonymous.size > MAX_ANONYMOUS) oldest?.destroy();
    // What Node calls when the last answer is written. Closing what still sends would reset it, and lose the answer.
    socket.destroySoon = () => {
      socket.end();
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    };
  }

  /** The request is not valid HTTP, or arrives too slowly. */
  private refuse({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable) return;
    // As Node does it: nothing may be written into an answer that has begun.
    const { _httpMessage: answer } = socket as { _httpMessage?: ServerResponse };
    if (answer?.headersSent) return void socket.destroy();
    const [status, detail] = PARSER_ERRORS[code] ?? [400, 'The request is not valid HTTP'];
    tell(socket, status, detail);
    // Anyone who was too slow must not complete a request that was refused.
    if (status === 408) socket.end(() => socket.destroy());
  }
}

/** Answers where Node makes no response, and closes the connection. */
function tell(socket: Socket, status: number, detail: string): void {
  const problem = problemOf(status, undefined, detail);
  const body = JSON.stringify(problem);
  const headers = [
    ...SECURITY_HEADERS,
    ['content-type', 'application/problem+json'],
    ['content-length', Buffer.byteLength(body)],
    ['connection', 'close'],
  ].map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${problem.title}\r\n${headers.join('')}\r\n${body}`);
  socket.destroySoon();
}

/** Node would tell a client to send its body, or refuse what it expects, before anybody was asked. */
function letHooksAnswer(server: Server): void {
  for (const event of ['checkContinue', 'checkExpectation'])
    server.on(event, (request, response) => server.emit('request', request, response));
}
