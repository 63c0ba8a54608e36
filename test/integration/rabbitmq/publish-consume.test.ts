import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  BrokerConnection,
  buildTopology,
  Consumer,
  type Delivery,
  declareTopology,
  EXCHANGE,
  Publisher,
} from '#rabbitmq';
import { eventually } from '#testing';
import { type Environment, givenEnvironment } from '#testing/services';
import { givenProxy, type TcpProxy } from '../../support/proxy.js';

const topology = buildTopology({ queues: new Map([['letter', ['letter.send']]]), retryDelays: ['5s'] });

let environment: Environment;
let proxy: TcpProxy;
let connection: BrokerConnection;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  environment = await givenEnvironment();
  proxy = await givenProxy(environment.rabbitmqUrl);
  connection = new BrokerConnection([proxy.url], 'test');
  await connection.whenUp(AbortSignal.timeout(20_000));
  await declareTopology(connection, topology);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await connection?.close();
  await proxy?.close();
  await environment?.close();
});

async function givenPublisher(options = {}): Promise<Publisher> {
  const publisher = new Publisher(connection, options);
  cleanups.push(() => publisher.close());
  await eventually(() => publisher.room > 0);
  return publisher;
}
function givenConsumer(prefetch: number, onDelivery: (delivery: Delivery) => void): Consumer {
  const consumer = new Consumer(connection, 'letter', prefetch, onDelivery);
  cleanups.push(() => consumer.close());
  return consumer;
}
const message = (messageId: string, exchange: string = EXCHANGE.jobs, headers = {}) => ({
  exchange,
  routingKey: 'letter.send',
  content: Buffer.from(messageId),
  properties: { messageId, headers },
});
const textOf = ({ message }: Delivery) => message.content.toString();

test('of several addresses the one that answers is used', async () => {
  const several = new BrokerConnection(['amqp://guest:guest@127.0.0.1:1', environment.rabbitmqUrl], 'test');
  await several.whenUp(AbortSignal.timeout(20_000));
  await several.close();
});

test('a confirmed message is in its queue', async () => {
  const publisher = await givenPublisher();
  await Promise.all(Array.from({ length: 500 }, (_, n) => publisher.publish(message(String(n)))));
  expect(await environment.drainQueue('letter')).toHaveLength(500);
});

test('a message that no queue takes is refused, and only that one', async () => {
  const publisher = await givenPublisher();
  const outcomes = await Promise.allSettled([
    publisher.publish(message('1')),
    publisher.publish(message('2', EXCHANGE.retry, { 'retry-delay': '7s' })),
    publisher.publish(message('3')),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ name: 'UnroutableError' });
});

test('a publish to an exchange that does not exist fails, and the next one works again', async () => {
  const publisher = await givenPublisher();
  await expect(publisher.publish(message('1', 'nowhere'))).rejects.toMatchObject({
    name: 'PublishTimeoutError',
  });
  await eventually(() => publisher.publish(message('2')).then(() => true));
});

test('what cannot be encoded is refused and harms nobody', async () => {
  const publisher = await givenPublisher();
  await expect(publisher.publish({ ...message('1'), routingKey: 'x'.repeat(300) })).rejects.toThrow();
  await publisher.publish(message('2'));
});

test('a full window refuses at once instead of holding messages in memory', async () => {
  const publisher = await givenPublisher({ window: 10 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 25 }, (_, n) => publisher.publish(message(String(n)))),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
  expect((outcomes[24] as PromiseRejectedResult).reason.message).toContain('window is full');
});

test('a producer that is faster than the broker is held up until the broker has confirmed', async () => {
  const publisher = await givenPublisher({ window: 50 });
  expect(publisher.backpressure()).toBeUndefined();
  const published = Array.from({ length: 10 }, (_, n) => publisher.publish(message(String(n))));
  const held = publisher.backpressure();
  expect(held).toBeInstanceOf(Promise);
  await Promise.all(published);
  await held;
  expect(publisher.backpressure()).toBeUndefined();
});

test('a broker that confirms nothing holds no producer up for long', async () => {
  const publisher = await givenPublisher({ window: 50, confirmTimeoutMs: 5_000 });
  proxy.stall();
  const published = Array.from({ length: 10 }, (_, n) => publisher.publish(message(String(n))));
  const rejected = Promise.allSettled(published);
  await publisher.backpressure();
  expect(await Promise.race([rejected, 'nothing yet'])).toBe('nothing yet');
  proxy.mend();
  await rejected;
});

test('a lost connection fails what is in flight, refuses the next at once, and publishes again when it is back', async () => {
  const publisher = await givenPublisher();
  proxy.cut();
  await expect(publisher.publish(message('1'))).rejects.toMatchObject({
    name: expect.stringMatching(/Timeout|Unavailable/),
  });
  await eventually(() => publisher.room === 0);
  await expect(publisher.publish(message('2'))).rejects.toMatchObject({ name: 'BrokerUnavailableError' });
  proxy.mend();
  await eventually(() => publisher.publish(message('3')).then(() => true));
});

test('a connection that is lost while a question is on its way is an outage', async () => {
  proxy.stall();
  const asked = connection.withChannel((channel) => channel.checkQueue('letter'));
  const failed = expect(asked).rejects.toMatchObject({ name: 'BrokerUnavailableError' });
  proxy.cut();
  await failed;
  proxy.mend();
});

test('a connection that is lost while a channel closes keeps nobody waiting', async () => {
  let stall = () => {};
  const stalled = new Promise<void>((resolve) => {
    stall = () => {
      proxy.stall();
      // The close is sent before the connection breaks.
      setImmediate(resolve);
    };
  });
  const asked = connection.withChannel(async (channel) => {
    const { queue } = await channel.checkQueue('letter');
    stall();
    return queue;
  });
  await stalled;
  proxy.cut();
  expect(await asked).toBe('letter');
  proxy.mend();
});

test('a confirm that does not come fails its message after the limit, and the publisher recovers', async () => {
  const publisher = await givenPublisher({ confirmTimeoutMs: 500 });
  proxy.stall();
  await expect(publisher.publish(message('1'))).rejects.toMatchObject({ name: 'PublishTimeoutError' });
  proxy.mend();
  await eventually(() => publisher.publish(message('2')).then(() => true));
});

test('no more than the prefetch limit is in flight, and acknowledgements make room', async () => {
  const publisher = await givenPublisher();
  await Promise.all(Array.from({ length: 10 }, (_, n) => publisher.publish(message(String(n)))));
  const deliveries: Delivery[] = [];
  const consumer = givenConsumer(4, (delivery) => void deliveries.push(delivery));
  await eventually(() => deliveries.length === 4);
  // Out of order: the second frees its place though the first is still in flight.
  deliveries[1]!.ack();
  await eventually(() => deliveries.length === 5);
  deliveries[0]!.ack();
  deliveries[2]!.ack();
  await eventually(() => deliveries.length === 7);
  for (const delivery of deliveries) delivery.ack();
  await eventually(() => deliveries.length === 10);
  for (const delivery of deliveries) delivery.ack();
  await consumer.close();
  expect(await environment.drainQueue('letter')).toEqual([]);
});

test('acknowledging twice, or after the channel is gone, harms nobody', async () => {
  const publisher = await givenPublisher();
  const deliveries: Delivery[] = [];
  const consumer = givenConsumer(10, (delivery) => void deliveries.push(delivery));
  await publisher.publish(message('1'));
  await eventually(() => deliveries.length === 1);
  proxy.cut();
  await eventually(() => !consumer.isAttached);
  deliveries[0]!.ack();
  proxy.mend();
  await eventually(() => deliveries.length === 2);
  deliveries[0]!.ack();
  deliveries[1]!.ack();
  deliveries[1]!.ack();
  await eventually(() => publisher.publish(message('2')).then(() => true));
  await eventually(() => deliveries.length === 3);
  expect(deliveries.map(textOf)).toEqual(['1', '1', '2']);
});

test('the consumer attaches again when its queue was deleted and declared again', async () => {
  const publisher = await givenPublisher();
  const deliveries: Delivery[] = [];
  const consumer = givenConsumer(10, (delivery) => void deliveries.push(delivery));
  await eventually(() => consumer.isAttached);
  await environment.management('DELETE', '/queues/{vhost}/letter');
  await eventually(() => !consumer.isAttached);
  await declareTopology(connection, topology);
  await eventually(() => consumer.isAttached);
  await publisher.publish(message('1'));
  await eventually(() => deliveries.length === 1);
});

test('the consumer attaches again after its channel was closed by the broker', async () => {
  const deliveries: Delivery[] = [];
  const consumer = givenConsumer(10, (delivery) => void deliveries.push(delivery));
  await eventually(() => consumer.isAttached);
  const connections = await eventually(async () => {
    const all = await environment.management<{ name: string; vhost: string }[]>(
      'GET',
      '/vhosts/{vhost}/connections',
    );
    return all.length > 0 ? all : undefined;
  });
  for (const { name } of connections) {
    await environment.management('DELETE', `/connections/${encodeURIComponent(name)}`).catch(() => {});
  }
  await eventually(() => !consumer.isAttached);
  await eventually(() => consumer.isAttached);
});

test('what was not acknowledged when the consumer closes goes back to its queue', async () => {
  const publisher = await givenPublisher();
  await publisher.publish(message('1'));
  const deliveries: Delivery[] = [];
  const consumer = givenConsumer(10, (delivery) => void deliveries.push(delivery));
  await eventually(() => deliveries.length === 1);
  await consumer.close();
  expect((await environment.drainQueue('letter')).map(({ content }) => content)).toEqual(['1']);
});

test('every connection names its purpose to the operator', async () => {
  const names = await eventually(async () => {
    type Connection = { client_properties: { connection_name?: string } };
    const all = await environment.management<Connection[]>('GET', '/vhosts/{vhost}/connections');
    return all.length > 0 ? all.map(({ client_properties }) => client_properties.connection_name) : undefined;
  });
  expect(names).toEqual([`warren test ${process.pid}`]);
});
