import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Kysely } from 'kysely';
import pg from 'pg';
import { type Queryable, rowsOf } from './records-database.js';

const LIBS = join(import.meta.dirname, '../..');
/** What the first migration stands for, too. A database that has that one lacks nothing of it if it has the last of these. */
const [FIRST, LAST_IN_FIRST] = ['0001-jobs', '0015-fewer-index-entries'];

/** Every migration, by its name: the SQL files in the folder `migrations` of each lib. A removed lib takes its own with it. */
function allMigrations(): Map<string, string> {
  const files = readdirSync(LIBS)
    .map((lib) => join(LIBS, lib, 'src/migrations'))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)))
    .filter((file) => file.endsWith('.sql'));
  const named = files.map((file) => [basename(file, '.sql'), file] as const);
  return new Map(named.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Brings the database's schema up to date. Safe to run at any time and by several processes at once: the migrator
 * takes a lock, and each migration runs once.
 *
 * @returns the names of the migrations that ran now.
 */
export async function migrateDatabase(url: string): Promise<string[]> {
  // Loaded by those that migrate only: its 262 modules take a seventh of the time in which an app starts.
  const { Kysely, Migrator, PostgresDialect, sql } = await import('kysely');
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  const migrationOf = (file: string) => ({
    up: async (db: Kysely<unknown>) => void (await sql.raw(readFileSync(file, 'utf8')).execute(db)),
  });
  try {
    // The migrations of a lib that was removed are not there any more, nor need they be.
    const names = await migrationsIn(pool);
    if (names.includes(FIRST) && !names.includes(LAST_IN_FIRST))
      throw new Error(
        `The database lacks the migration ${LAST_IN_FIRST}, and is too old for this version: docs/upgrading.md says what to do`,
      );
    const done = names.map((name) => [name, { up: async () => {} }] as const);
    const known = [...allMigrations()].map(([name, file]) => [name, migrationOf(file)] as const);
    const provider = { getMigrations: async () => Object.fromEntries([...done, ...known]) };
    // A clone has migrations of its own, which may have run before a later one of Warren's comes into it.
    const migrator = new Migrator({ db, provider, allowUnorderedMigrations: true });
    const { error, results = [] } = await migrator.migrateToLatest();
    if (error) throw error;
    return results.map(({ migrationName }) => migrationName);
  } finally {
    await pool.end();
  }
}

/** Names the migrations that the database lacks. */
export async function pendingMigrations(database: Queryable): Promise<string[]> {
  const done = await migrationsIn(database);
  return [...allMigrations().keys()].filter((name) => !done.includes(name));
}

/** Names the migrations that the database has. */
async function migrationsIn(database: Queryable): Promise<string[]> {
  const [table] = await rowsOf<{ name: string | null }>(database, {
    text: `select to_regclass('kysely_migration') as name`,
  });
  if (!table?.name) return [];
  const rows = await rowsOf<{ name: string }>(database, { text: 'select name from kysely_migration' });
  return rows.map(({ name }) => name);
}
