import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import pg from 'pg';
import { type Queryable, rowsOf } from './records-database.js';

const LIBS = join(import.meta.dirname, '../..');
/** Lock and table are those of Kysely's migrator, which earlier code migrates with. */
const LOCK = '3853314791062309107';
const TABLE =
  'create table if not exists kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null)';

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
 * Brings the database's schema up to date. Safe to run at any time and by several processes at once: it
 * takes a lock, and each migration runs once, all of them in one transaction. A clone has migrations of its own, which may
 * have run before a later one of Warren's comes into it.
 *
 * @returns the names of the migrations that ran now.
 */
export async function migrateDatabase(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // What is lost rejects the statement under way, and must not end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(`begin; select pg_advisory_xact_lock(${LOCK}); ${TABLE}`);
    const done = await migrationsIn(client);
    const pending = [...allMigrations()].filter(([name]) => !done.includes(name));
    for (const [name, file] of pending) {
      await client.query(readFileSync(file, 'utf8'));
      await client.query('insert into kysely_migration values ($1, now()::text)', [name]);
    }
    await client.query('commit');
    return pending.map(([name]) => name);
  } finally {
    // Without a commit nothing has happened.
    await client.end();
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
