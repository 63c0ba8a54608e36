import type { Migration } from 'kysely';
import pg from 'pg';
import type { Queryable } from './records-database.js';

/** Every migration, in the order in which they run: a file in `migrations`. A new one is one file and one line here. */
const MIGRATIONS = [
  '0001-jobs',
  '0003-schedules',
  '0004-batches',
  '0005-limits',
  '0006-telemetry',
  '0007-operator',
  '0008-dashboard',
  '0009-dead-letters',
  '0010-unique-keys',
  '0011-one-store-of-dead-letters',
  '0012-words',
];

/**
 * Brings the database's schema up to date. Safe to run at any time and by several processes at once: the migrator
 * takes a lock, and each migration runs once.
 *
 * @returns the names of the migrations that ran now.
 */
export async function migrateDatabase(url: string): Promise<string[]> {
  // Loaded by those that migrate only: its 262 modules take a seventh of the time in which an app starts.
  const { Kysely, Migrator, PostgresDialect } = await import('kysely');
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    const migrations = await Promise.all(
      MIGRATIONS.map(async (name) => [name, (await import(`./migrations/${name}.js`)) as Migration] as const),
    );
    const provider = { getMigrations: async () => Object.fromEntries(migrations) };
    // A clone has migrations of its own, which may have run before a later one of Warren's comes into it.
    const migrator = new Migrator({ db, provider, allowUnorderedMigrations: true });
    const { error, results = [] } = await migrator.migrateToLatest();
    if (error) throw error;
    return results.map(({ migrationName }) => migrationName);
  } finally {
    await db.destroy();
  }
}

/** Names the migrations that the database lacks. */
export async function pendingMigrations(database: Queryable): Promise<string[]> {
  const query = async (text: string) => (await database.query({ text, values: [] })).rows;
  const [table] = await query(`select to_regclass('kysely_migration') as name`);
  if (!(table as { name: string | null }).name) return MIGRATIONS;
  const done = (await query('select name from kysely_migration')) as { name: string }[];
  return MIGRATIONS.filter((name) => !done.some((migration) => migration.name === name));
}
