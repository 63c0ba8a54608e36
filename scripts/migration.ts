import { Logger } from '@nestjs/common';
import type { Settings } from '#config';
import * as contracts from '#contracts';
import { Contracts, Queues } from '#jobs';
import { Broker } from '#rabbitmq';
import { Database, DeadJobStore, migrateDatabase, QueueStore } from '#records';

const BROKER_TIMEOUT_MS = 60_000;

/**
 * Brings the database's schema and the broker's topology up to date. Both are idempotent.
 *
 * @param log told, in single lines, what was done.
 * @throws Error when the database or the broker does not answer, or has what cannot be brought up to date.
 */
export async function migrate(
  { DATABASE_URL, RABBITMQ_URL }: Pick<Settings, 'DATABASE_URL' | 'RABBITMQ_URL'>,
  log: (line: string) => void = () => undefined,
): Promise<void> {
  // What the libs would log of connections that come and go does not matter to the person who runs a command.
  Logger.overrideLogger(['warn', 'error']);
  const migrations = await migrateDatabase(DATABASE_URL);
  log(migrations.length > 0 ? `Database: ran ${migrations.join(', ')}` : 'Database: up to date');

  const broker = new Broker({ urls: RABBITMQ_URL });
  const database = new Database({ url: DATABASE_URL, poolSize: 1 });
  const known = new Contracts(contracts);
  const queues = new Queues(
    known,
    broker,
    new QueueStore(database.records),
    new DeadJobStore(database.records),
  );
  try {
    await queues.declare(AbortSignal.timeout(BROKER_TIMEOUT_MS));
    const { topology } = known;
    log(`Broker: ${topology.exchanges.length} exchanges and ${topology.queues.length} queues stand`);
    for (const { queue, advice } of await queues.list())
      if (advice !== null && !known.queues.has(queue)) log(`Queue ${queue}: ${advice}`);
  } finally {
    await broker.onApplicationShutdown();
    await database.onApplicationShutdown();
  }
}
