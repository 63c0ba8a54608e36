import { type PrivateServer, startPrivate } from './private.js';
import { type RabbitmqAddresses, startRabbitmqNodes } from './rabbitmq-node.js';

export type { RabbitmqAddresses };

/**
 * Starts a broker of the machine's own RabbitMQ, under a name, a cookie, a password and ports of its own.
 * @param log told when RabbitMQ has to be installed first
 * @returns its addresses, once both of them answer
 * @throws Error when RabbitMQ cannot be had or does not start; the message says what to do or what it printed
 */
export function startPrivateRabbitmq(log: (line: string) => void): Promise<PrivateServer<RabbitmqAddresses>> {
  return startPrivate(async (place) => {
    const [node] = await startRabbitmqNodes(place, 1, log);
    return node!.addresses;
  });
}
