import { randomBytes } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { connect } from 'amqplib';
import pg from 'pg';
import type { AnyContract } from '#jobs';
import { Contracts } from '#jobs';
import { BrokerConnection, declareTopology } from '#rabbitmq';
import { migrateDatabase } from '#records';

/** A message as it lay in a queue. */
export interface Letter {
  /** The bytes, each as the character of its number. */
  content: string;
  properties: Record<string, unknown>;
  headers: Record<string, unknown>;
}

/** A vhost and a database of a test's own, on the services of the run. */
export interface Environment {
  rabbitmqUrl: string;
  databaseUrl: string;
  vhost: string;
  /** Makes the vhost again, for a broker that has lost it. */
  createVhost(): Promise<void>;
  /** Runs SQL in the test's database. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Calls the management API of the broker; `{vhost}` in the path stands for the test's own. */
  management<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** Takes everything out of a queue. */
  drainQueue(queue: string): Promise<Letter[]>;
  /** How many messages of a queue wait to be delivered, at this moment. */
  countReady(queue: string): Promise<number>;
  /** How many consumers a queue has, at this moment. */
  countConsumers(queue: string): Promise<number>;
  /** Publishes a message as a foreign program would. */
  publish(routingKey: string, content: string | Buffer, properties?: Record<string, unknown>): Promise<void>;
  /** The same to any exchange. */
  publishTo(
    exchange: string,
    routingKey: string,
    content: string | Buffer,
    properties?: Record<string, unknown>,
  ): Promise<void>;
  close(): Promise<void>;
}

/** The services that environments are made in. */
export interface ServiceAddresses {
  rabbitmqUrl: string;
  rabbitmqManagementUrl: string;
  databaseUrl: string;
  /** The name of a database there that has the schema, and that nobody uses. */
  databaseTemplate?: string;
}

/**
 * Makes a vhost and a database; with contracts, also the schema and the topology, as `npm run migrate` would.
 *
 * @param services those of the run when absent.
 */
export async function givenEnvironment(
  contracts?: readonly AnyContract[],
  services: ServiceAddresses = servicesOfTheRun(),
): Promise<Environment> {
  Logger.overrideLogger(false);
  const name = `t${randomBytes(6).toString('hex')}`;
  const managementUrl = new URL(services.rabbitmqManagementUrl);
  const management = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(new URL(`/api${path.replace('{vhost}', name)}`, managementUrl.origin), {
      method,
      headers: {
        authorization: `Basic ${btoa(`${decodeURIComponent(managementUrl.username)}:${decodeURIComponent(managementUrl.password)}`)}`,
        'content-type': 'application/json',
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    const text = await response.text();
    return (text ? JSON.parse(text) : undefined) as T;
  };

  const rabbitmq = new URL(services.rabbitmqUrl);
  rabbitmq.pathname = `/${name}`;
  const database = new URL(services.databaseUrl);
  const administration = database.href;
  database.pathname = `/${name}`;

  const createVhost = async () => {
    await management('PUT', '/vhosts/{vhost}');
    const all = { configure: '.*', write: '.*', read: '.*' };
    await management('PUT', `/permissions/{vhost}/${rabbitmq.username}`, all);
  };
  // A copy of a database that has the schema already takes a tenth of the time of making it.
  const template = contracts && services.databaseTemplate;
  const createDatabase = `create database ${name}${template ? ` template ${template}` : ''}`;
  await Promise.all([createVhost(), administer(administration, createDatabase)]);
  const pool = new pg.Pool({ connectionString: database.href, max: 2 });
  pool.on('error', () => {});

  if (contracts) {
    if (!template) await migrateDatabase(database.href);
    const connection = new BrokerConnection([rabbitmq.href], 'test');
    await connection.whenUp(AbortSignal.timeout(20_000));
    await declareTopology(connection, new Contracts(contracts).topology);
    await connection.close();
  }

  const withChannel = async <T>(
    task: (channel: Awaited<ReturnType<typeof openChannel>>['channel']) => Promise<T>,
  ) => {
    const { connection, channel } = await openChannel(rabbitmq.href);
    try {
      return await task(channel);
    } finally {
      await connection.close();
    }
  };

  const publishTo: Environment['publishTo'] = (exchange, routingKey, content, properties) =>
    withChannel(async (channel) => {
      channel.publish(exchange, routingKey, Buffer.from(content as string), properties);
      await channel.waitForConfirms();
    });

  return {
    rabbitmqUrl: rabbitmq.href,
    databaseUrl: database.href,
    vhost: name,
    createVhost,
    management,
    sql: async (text, values) => (await pool.query(text, values)).rows,
    drainQueue: (queue) =>
      withChannel(async (channel) => {
        const messages: Letter[] = [];
        for (let message = await channel.get(queue); message; message = await channel.get(queue)) {
          channel.ack(message);
          const { headers = {}, ...properties } = message.properties;
          messages.push({ content: message.content.toString('latin1'), properties, headers });
        }
        return messages;
      }),
    countReady: (queue) => withChannel(async (channel) => (await channel.checkQueue(queue)).messageCount),
    countConsumers: (queue) =>
      withChannel(async (channel) => (await channel.checkQueue(queue)).consumerCount),
    publish: (routingKey, content, properties) => publishTo('jobs', routingKey, content, properties),
    publishTo,
    close: async () => {
      await pool.end();
      await Promise.all([
        management('DELETE', '/vhosts/{vhost}'),
        administer(administration, `drop database ${name} with (force)`),
      ]);
    },
  };
}

async function openChannel(url: string) {
  // Without it every call waits for the delayed acknowledgement of TCP, some 40 ms.
  const connection = await connect(url, { noDelay: true });
  connection.on('error', () => {});
  return { connection, channel: await connection.createConfirmChannel() };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(statement).finally(() => client.end());
}

function servicesOfTheRun(): ServiceAddresses {
  return {
    rabbitmqUrl: required('WARREN_TEST_RABBITMQ_URL'),
    rabbitmqManagementUrl: required('WARREN_TEST_RABBITMQ_MANAGEMENT_URL'),
    databaseUrl: required('WARREN_TEST_DATABASE_URL'),
    databaseTemplate: process.env.WARREN_TEST_DATABASE_TEMPLATE,
  };
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the tests' global setup starts the services and sets it`);
  return value;
}
