import { Logger } from '@nestjs/common';
import { loadSettings } from '#config';
import * as contracts from '#contracts';
import { Contracts } from '#jobs';
import { BrokerConnection, declareTopology } from '#rabbitmq';
import { migrateDatabase } from '#records';

/**
 * `npm run migrate`: brings the database's schema and the broker's topology up to date. Both are idempotent, and a
 * deploy runs it before it starts the apps.
 */
Logger.overrideLogger(['warn', 'error']);
try {
  const settings = loadSettings();
  const migrations = await migrateDatabase(settings.DATABASE_URL);
  console.log(migrations.length > 0 ? `Database: ran ${migrations.join(', ')}` : 'Database: up to date');

  const connection = new BrokerConnection(settings.RABBITMQ_URL, 'migrating');
  try {
    await connection.whenUp(AbortSignal.timeout(60_000));
    const { topology } = new Contracts(contracts);
    await declareTopology(connection, topology);
    console.log(`Broker: ${topology.exchanges.length} exchanges and ${topology.queues.length} queues stand`);
  } finally {
    await connection.close();
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
