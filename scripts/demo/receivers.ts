import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { openMailServer } from '../mail-server.js';

/** What the demo's jobs are sent to: a real mail server and a real subscriber of webhooks, in this process. */

export interface Mailbox {
  url: string;
  /** How many mails arrived, by their recipient. */
  received: Map<string, number>;
  close(): Promise<void>;
}

/** Takes in every mail. */
export async function openMailbox(): Promise<Mailbox> {
  const received = new Map<string, number>();
  const { url, close } = await openMailServer((recipients) => {
    for (const address of recipients) received.set(address, (received.get(address) ?? 0) + 1);
  });
  return { url, close, received };
}

export interface Subscriber {
  url: string;
  /** How many webhooks arrived, by their id; only those whose signature is right. */
  received: Map<string, number>;
  /** How many came with a wrong signature, or none. */
  forged: number;
  close(): Promise<void>;
}

/** Takes in every webhook that is signed with the secret, as Standard Webhooks says. */
export async function openSubscriber(secret: string): Promise<Subscriber> {
  const server = createServer(async (request, response) => {
    const id = String(request.headers['webhook-id']);
    if (isSigned(request, await text(request), secret)) {
      subscriber.received.set(id, (subscriber.received.get(id) ?? 0) + 1);
      response.writeHead(204).end();
    } else {
      subscriber.forged += 1;
      response.writeHead(401).end();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const subscriber: Subscriber = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
    received: new Map(),
    forged: 0,
    close: () => closeServer(server),
  };
  return subscriber;
}

function isSigned({ headers }: IncomingMessage, body: string, secret: string): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const expected = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  return String(headers['webhook-signature'])
    .split(' ')
    .map((given) => Buffer.from(given))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
