import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { text } from 'node:stream/consumers';

/** What `sample.call` calls, and what answers when the test says so: how tests make a job last as long as they need. */
export interface Receiver {
  url: string;
  /** Requests that wait for an answer, with the id of their job. */
  waiting: { job: string; answer(status?: number): void }[];
  /** The ids of the jobs of all requests so far. */
  received: string[];
  /** All requests so far, in the order in which they were sent completely. */
  requests: { headers: IncomingHttpHeaders; body: string }[];
  /** From now on every request is answered at once, with this status. */
  open(status?: number, headers?: OutgoingHttpHeaders): void;
  close(): Promise<void>;
}

/** Starts a {@link Receiver}. The worker needs `receiverSettings` to be let through to it. */
export async function givenReceiver(): Promise<Receiver> {
  let answerAll: ((response: ServerResponse) => void) | undefined;
  const receiver: Receiver = {
    url: '',
    waiting: [],
    received: [],
    requests: [],
    open: (status = 204, headers) => {
      answerAll = (response) => void response.writeHead(status, headers).end();
      for (const { answer } of receiver.waiting.splice(0)) answer();
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { headers } = request;
    void text(request).then(
      (body) => receiver.requests.push({ headers, body }),
      () => {},
    );
    const job = String(headers['x-job']);
    receiver.received.push(job);
    if (answerAll) return answerAll(response);
    receiver.waiting.push({ job, answer: (status = 204) => void response.writeHead(status).end() });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  receiver.url = `http://127.0.0.1:${(server.address() as { port: number }).port}/hook`;
  return receiver;
}

/** What a worker must be told to make calls. */
export const receiverSettings = {
  SAMPLE_CALLS: 'true',
};
