import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import * as contracts from '#contracts';
import { type AnyContract, defineJob, type Handler, JobHandler } from '#jobs';
import { Broker } from '#rabbitmq';
import { eventually } from '#testing';
import {
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
  givenWorker,
} from '#testing/services';
import { givenProxy, type TcpProxy } from './proxy.js';

const Ping = defineJob({ name: 'ping.once', queue: 'ping', payload: z.object({}) });

@JobHandler(Ping)
class PingHandler implements Handler<typeof Ping> {
  handle() {}
}

let environment: Environment;
let broker: TcpProxy;
/** The same environment with the broker behind the proxy. */
let apart: Environment;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  environment = await givenEnvironment([Ping, ...Object.values<AnyContract>(contracts)]);
  broker = await givenProxy(environment.rabbitmqUrl);
  apart = { ...environment, rabbitmqUrl: broker.url };
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await broker?.close();
  await environment?.close();
});
// No worker runs at first, and with it no relay: what is not published at once is in no queue.
const isReady = (queue: string, count = 1) =>
  eventually(async () => (await environment.countReady(queue)) === count);

test('a producer is connected when it is given, however slow the broker: what it enqueues at once is published', async () => {
  broker.shape({ latencyMs: 150 });
  const producer = await givenProducer(apart, { contracts: [Ping] });
  closing.push(producer.close);
  await producer.jobs.enqueue(Ping, {});
  await isReady('ping');
});

test('P2: a producer that is given without a broker accepts jobs all the same, and they run once there is one', async () => {
  broker.cut();
  const producer = await givenProducer(apart, { contracts: [Ping], withBroker: false });
  closing.push(producer.close);
  const { room } = producer.app.get(Broker).publisher;
  const { state } = await producer.jobs.enqueue(Ping, {});
  expect([room, state]).toEqual([0, 'queued']);
  broker.mend();
  const worker = await givenWorker(environment, { contracts: [Ping], handlers: [PingHandler] });
  closing.push(() => worker.close());
  await eventually(
    async () => (await environment.sql(`select from jobs where state = 'succeeded'`)).length === 1,
  );
});

test('an api can publish when it is ready, with API keys and without: what it accepts at once is published', async () => {
  broker.cut();
  const key = 'a-key-for-this-test-only';
  const apis = await Promise.all([
    givenProcess('api', apart),
    givenProcess('api', apart, { API_KEYS: `another-key-of-the-test,${key}` }),
  ]);
  closing.push(...apis.map((api) => () => api.stop()));
  // P2: to those who use it, it is ready without a broker.
  await Promise.all(apis.map((api) => api.ready({ withBroker: false })));
  broker.mend();
  await Promise.all(apis.map((api) => api.ready()));
  for (const { url } of apis) {
    const { status } = await fetch(`${url}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ name: 'sample.flaky', payload: { failures: 0 } }),
    });
    expect(status).toBe(202);
  }
  await isReady('sample-flaky', apis.length);
});
