import { join } from 'node:path';
import type { Environment } from '../support/environment.js';
import { eventually } from '../support/eventually.js';
import { appsOf } from '../support/exchanged-apps.js';
import { freePort } from '../support/processes.js';
import { Child } from './child.js';

/** Jobs that a worker is given beyond those that it has acknowledged, in every system that has such a number. */
const PREFETCH = '250';
/** BullMQ has no prefetch; in the measurements made beforehand it was quickest with so many at once. */
const CONCURRENCY = '100';

/** A job system that is measured. */
export interface System {
  id: string;
  /** What it is, and what it keeps of a job. */
  title: string;
  producer(): Promise<Child>;
  worker(): Promise<Child>;
}

/** The system that all others are compared with. */
export const REFERENCE = 'amqplib';

const folder = appsOf('bench');
const program = (name: string) => join(folder, 'dist/test/bench/processes', `${name}.js`);

/** The systems that can be measured here. */
export function systemsOn({ rabbitmqUrl, databaseUrl }: Environment, redisUrl: string | undefined): System[] {
  const start = (name: string, env: Record<string, string>) => Child.start(program(name), env, folder);
  const rabbit = { RABBITMQ_URL: rabbitmqUrl, PREFETCH };
  const redis = { REDIS_URL: redisUrl ?? '', CONCURRENCY };
  const warren = { RABBITMQ_URL: rabbitmqUrl, DATABASE_URL: databaseUrl, NODE_ENV: 'development' };
  const systems: System[] = [
    {
      id: 'warren',
      title: 'Warren, as it ships: a record in PostgreSQL and a confirmed message for each job',
      producer: () => start('warren-producer', warren),
      worker: async () => {
        const port = await freePort();
        const settings = { ...warren, WORKER_PORT: String(port), WORKER_PREFETCH: PREFETCH };
        const worker = await Child.start(join(folder, 'dist/apps/worker/main.js'), settings, folder);
        await eventually(async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok, 60_000);
        return worker;
      },
    },
    {
      id: REFERENCE,
      title: 'amqplib alone on a quorum queue: a confirmed message, no record, no retries',
      producer: () => start('amqplib-producer', rabbit),
      worker: () => start('amqplib-worker', rabbit),
    },
    {
      id: 'nest',
      title: 'Nest’s RMQ transport on a quorum queue: a confirmed message, no record, no retries',
      producer: () => start('nest-producer', rabbit),
      worker: () => start('nest-worker', rabbit),
    },
  ];
  if (!redisUrl) return systems;
  return [
    ...systems,
    {
      id: 'bullmq',
      title: 'BullMQ on Redis with its append-only file: a record that a crash may take back',
      producer: () => start('bullmq-producer', redis),
      worker: () => start('bullmq-worker', redis),
    },
  ];
}
