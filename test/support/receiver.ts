import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What `sample.call` calls, and what answers when the test says so: how tests make a job last as long as they need. */
export interface Receiver {
  url: string;
  /** Requests that wait for an answer, with the id of their job. */
  waiting: { job: string; answer(status?: number): void }[];
  /** The ids of the jobs of all requests so far. */
  received: string[];
  /** From now on every request is answered at once. */
  open(): void;
  close(): Promise<void>;
}

/** Starts a {@link Receiver}. The worker needs `receiverSettings` to be let through to it. */
export async function givenReceiver(): Promise<Receiver> {
  let isOpen = false;
  const receiver: Receiver = {
    url: '',
    waiting: [],
    received: [],
    open: () => {
      isOpen = true;
      for (const { answer } of receiver.waiting.splice(0)) answer();
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    const job = String(request.headers['x-job']);
    receiver.received.push(job);
    const answer = (status = 204) => void response.writeHead(status).end();
    if (isOpen) return answer();
    receiver.waiting.push({ job, answer });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  receiver.url = `http://127.0.0.1:${(server.address() as { port: number }).port}/hook`;
  return receiver;
}

/** What a worker must be told to make calls. */
export const receiverSettings = {
  SAMPLE_CALLS: 'true',
};
