import { Kysely, type Migration, Migrator, PostgresDialect } from 'kysely';
import pg from 'pg';
import * as jobs from './migrations/0001-jobs.js';
import * as schedules from './migrations/0003-schedules.js';
import * as batches from './migrations/0004-batches.js';
import * as limits from './migrations/0005-limits.js';
import * as telemetry from './migrations/0006-telemetry.js';
import * as operator from './migrations/0007-operator.js';
import * as dashboard from './migrations/0008-dashboard.js';
import * as deadLetters from './migrations/0009-dead-letters.js';
import * as uniqueKeys from './migrations/0010-unique-keys.js';
import * as oneStore from './migrations/0011-one-store-of-dead-letters.js';

/** Every migration, by name, in the order in which they run. A new one is one file and one line here. */
const migrations: Record<string, Migration> = {
  '0001-jobs': jobs,
  '0003-schedules': schedules,
  '0004-batches': batches,
  '0005-limits': limits,
  '0006-telemetry': telemetry,
  '0007-operator': operator,
  '0008-dashboard': dashboard,
  '0009-dead-letters': deadLetters,
  '0010-unique-keys': uniqueKeys,
  '0011-one-store-of-dead-letters': oneStore,
};

/**
 * Brings the database's schema up to date. Safe to run at any time and by several processes at once: the migrator
 * takes a lock, and each migration runs once.
 *
 * @returns the names of the migrations that ran now.
 */
export async function migrateDatabase(url: string): Promise<string[]> {
  return withMigrator(url, async (migrator) => {
    const { error, results = [] } = await migrator.migrateToLatest();
    if (error) throw error;
    return results.map(({ migrationName }) => migrationName);
  });
}

/** Names the migrations that the database lacks. */
export async function pendingMigrations(url: string): Promise<string[]> {
  return withMigrator(url, async (migrator) =>
    (await migrator.getMigrations()).filter(({ executedAt }) => !executedAt).map(({ name }) => name),
  );
}

async function withMigrator<T>(url: string, task: (migrator: Migrator) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    // A clone has migrations of its own, which may have run before a later one of Warren's comes into it.
    const provider = { getMigrations: async () => migrations };
    return await task(new Migrator({ db, provider, allowUnorderedMigrations: true }));
  } finally {
    await db.destroy();
  }
}
