import { join } from 'node:path';
import { type Environment, freePort, root } from '#testing/services';
import { appsOf } from '../support/apps-with.js';
import { Child, Crew, type Workers } from './child.js';
import type { Redis, startRedis } from './redis.js';

/**
 * Jobs that a worker is given beyond those that it has acknowledged, in every system that has such a number. Anyone who
 * writes a record before an acknowledgement needs more of them than who does not: with 500 Warren does a tenth less.
 */
const PREFETCH = '1000';
/** BullMQ has no prefetch; in the measurements made beforehand it was quickest with so many at once. */
const CONCURRENCY = '100';

/** A job system that is measured. */
export interface System {
  id: string;
  /** What it is, and what it keeps of a job. */
  title: string;
  /** The same in a word, for charts. */
  keeps: string;
  producer(): Promise<Child>;
  worker(): Promise<Workers>;
}

/** The system that all others are compared with. */
export const REFERENCE = 'amqplib';
/** The one that keeps as much as Warren does. */
export const DURABLE_PEER = 'bullmq-always';

type Fsync = Parameters<typeof startRedis>[0];

const folder = appsOf('bench');
const program = (name: string) => join(folder, 'dist/test/bench/processes', `${name}.js`);

/** The systems that can be measured here. */
export function systemsOn(environment: Environment, redis: Partial<Record<Fsync, Redis>>): System[] {
  const start = (name: string, env: Record<string, string>) => Child.start(program(name), env, folder);
  const rabbit = { RABBITMQ_URL: environment.rabbitmqUrl, PREFETCH };
  // It has its packages beside it.
  const bullmq = (name: string, fsync: Fsync) => () =>
    Child.start(
      join(root, 'test/bench/bullmq', `${name}.js`),
      { REDIS_URL: redis[fsync]?.url ?? '', CONCURRENCY },
      root,
    );
  const systems: System[] = [
    warrenOn(environment),
    {
      id: REFERENCE,
      title: 'amqplib alone on a quorum queue: a confirmed message, no record, no retries',
      keeps: 'message',
      producer: () => start('amqplib-producer', rabbit),
      worker: () => start('amqplib-worker', rabbit),
    },
    {
      id: 'nest',
      title: 'Nest’s RMQ transport on a quorum queue: a confirmed message, no record, no retries',
      keeps: 'message',
      producer: () => start('nest-producer', rabbit),
      worker: () => start('nest-worker', rabbit),
    },
  ];
  const both: [Fsync, Omit<System, 'producer' | 'worker'>][] = [
    [
      'everysec',
      {
        id: 'bullmq',
        title: 'BullMQ on Redis with its append-only file: a record that a crash may take back',
        keeps: 'record in memory, on disk a second later',
      },
    ],
    [
      'always',
      {
        id: DURABLE_PEER,
        title: 'BullMQ on Redis with each write on disk before its answer (`appendfsync always`)',
        keeps: 'record on disk',
      },
    ],
  ];
  const queues = both.filter(([fsync]) => redis[fsync]);
  return [
    ...systems,
    ...queues.map(([fsync, system]) => ({
      ...system,
      producer: bullmq('producer', fsync),
      worker: bullmq('worker', fsync),
    })),
  ];
}

/** @param env settings beyond those that every part of the bench has. @param workers how many worker processes. */
export const warrenOn = (
  environment: Environment,
  { env = {}, workers = 1 }: { env?: Record<string, string>; workers?: number } = {},
): System => ({
  id: 'warren',
  title: 'Warren, as it ships: a record in PostgreSQL and a confirmed message for each job',
  keeps: 'record and message',
  producer: () => Child.start(program('warren-producer'), { ...settingsOf(environment), ...env }, folder),
  worker: async () =>
    new Crew(await Promise.all(Array.from({ length: workers }, () => startWorker(environment, { env })))),
});

/** The worker as it is deployed, but for its handlers. @param core the one core that it may use. */
export async function startWorker(
  environment: Environment,
  { core, env = {} }: { core?: number; env?: Record<string, string> } = {},
): Promise<Child> {
  const port = await freePort();
  const settings = {
    ...settingsOf(environment),
    WORKER_PORT: String(port),
    WORKER_PREFETCH: PREFETCH,
    ...env,
  };
  return Child.start(join(folder, 'dist/apps/worker/main.js'), settings, folder, {
    core,
    isReady: isOk(`http://127.0.0.1:${port}/health/ready`),
  });
}

/** A server of HTTP, and where it listens. */
export interface Api {
  url: string;
  child: Child;
}

/** The api as it is deployed, but for its contracts. */
export async function startApi(environment: Environment): Promise<Api> {
  const port = await freePort();
  const settings = { ...settingsOf(environment), PORT: String(port) };
  const url = `http://127.0.0.1:${port}`;
  const isReady = isOk(`${url}/health/ready`);
  return {
    url,
    child: await Child.start(join(folder, 'dist/apps/api/main.js'), settings, folder, { isReady }),
  };
}

/** The same Nest and Fastify, handing what comes to BullMQ. */
export async function startBullmqApi({ url }: Redis): Promise<Api> {
  const port = await freePort();
  const file = join(root, 'test/bench/bullmq/api.js');
  return {
    url: `http://127.0.0.1:${port}`,
    child: await Child.start(file, { PORT: String(port), REDIS_URL: url }, root),
  };
}

/** The same Nest and Fastify with handlers that do nothing of what the api does. */
export async function startEmptyApi(): Promise<Api> {
  const port = await freePort();
  return {
    url: `http://127.0.0.1:${port}`,
    child: await Child.start(program('empty-api'), { PORT: String(port) }, folder),
  };
}

const settingsOf = ({ rabbitmqUrl, databaseUrl }: Environment) => ({
  RABBITMQ_URL: rabbitmqUrl,
  DATABASE_URL: databaseUrl,
  NODE_ENV: 'development',
});

const isOk = (url: string) => async () => (await fetch(url)).ok;
