import type { Socket } from 'node:net';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import QueryStream from 'pg-query-stream';
import { settledWithin } from '#common';
import { maskUrl } from '#config';
import { asOutage, DatabaseUnavailableError, SchemaError } from './database-errors.js';
import { pendingMigrations } from './migrate.js';
import { inTransaction, lend, type Queryable, RecordsDatabase, type Statement } from './records-database.js';

export { DatabaseUnavailableError, type Queryable, SchemaError };

/** How long to wait for a connection, and for a statement; a job's own statements take milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * A plan outlives what it was made for: a claim planned while nothing waited read all that waits, and took 20 ms in place of
 * 2. What is read here is found by keys or narrow indexes, whatever the statistics say.
 */
const PLANNER = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  enable_material: 'off',
  // What is looked up was written moments ago, and is in memory.
  random_page_cost: '1.1',
};
const PLAN_BY_KEYS = Object.entries(PLANNER)
  .map((setting) => `set ${setting.join(' = ')};`)
  .join('');
const PLAN_AS_USUAL = Object.keys(PLANNER)
  .map((name) => `reset ${name};`)
  .join('');

/** Connections for the statements of the code around Warren: planned as usual, with errors of their own. */
@Injectable()
export class Database implements Queryable, OnApplicationShutdown {
  private readonly logger = new Logger(Database.name);
  private readonly pool: pg.Pool;
  /** What was told last of the schema: the empty text once it has every migration. */
  private lacks: string | undefined;
  /** The same connections, for the statements of Warren itself. */
  readonly records: RecordsDatabase;

  /** @param options.url `postgresql://user:password@host:port/name`. @param options.poolSize connections at most. */
  constructor(private readonly options: { url: string; poolSize: number }) {
    this.pool = new pg.Pool({
      ...connectionOptions(options.url),
      max: options.poolSize,
      onConnect: (client) => client.query(PLAN_BY_KEYS),
      statement_timeout: STATEMENT_TIMEOUT_MS,
      // The client's own limit, for a server that does not answer at all.
      query_timeout: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
    });
    this.pool.on('error', (error) =>
      this.logger.warn(`Lost an idle connection to the database: ${maskUrl(error.message)}`),
    );
    this.records = new RecordsDatabase(this.pool);
  }

  /**
   * Runs one statement on any connection.
   *
   * @throws DatabaseUnavailableError when the database does not answer; the statement may or may not have run.
   */
  query<Row>(statement: Statement): Promise<{ rows: Row[]; rowCount: number | null }> {
    return this.plannedAsUsual(async (client) => {
      const result = await client.query(statement).catch((error) => {
        throw asOutage(error);
      });
      return result as unknown as pg.QueryResult & { rows: Row[] };
    });
  }

  /**
   * Runs statements in one transaction: all of them, or none when the task throws.
   *
   * @throws DatabaseUnavailableError when the database does not answer; they may or may not have run.
   */
  transaction<T>(task: (transaction: Queryable) => Promise<T>): Promise<T> {
    return this.plannedAsUsual((client) => inTransaction(client, task, asOutage));
  }

  /** Plans what a task runs on a connection as the server does by itself, and gives it back to the others as it was. */
  private plannedAsUsual<T>(task: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const plannedTask = async (client: pg.PoolClient) => {
      await client.query(PLAN_AS_USUAL).catch((error) => {
        throw asOutage(error);
      });
      return task(client);
    };
    // What cannot be set, as in a transaction that was not ended, goes with the connection.
    return lend(this.pool, plannedTask, (client) =>
      client.query(PLAN_BY_KEYS).then(
        () => false,
        () => true,
      ),
    );
  }

  /**
   * Checks, until it has, that the database has every migration that this code needs. It may have others, of newer code.
   *
   * @throws SchemaError that names those that it lacks; DatabaseUnavailableError when it does not answer.
   */
  async checkSchema(): Promise<void> {
    if (this.lacks === '') return;
    const pending = await pendingMigrations(this.records);
    const [told, error] = [this.lacks, new SchemaError(pending)];
    this.lacks = pending.join();
    if (this.lacks === '') return;
    if (this.lacks !== told) this.logger.warn(error.message);
    throw error;
  }

  /** Whether the database can be used, for readiness. The reason is in the log only, because it names hosts. */
  async answers(): Promise<true | string> {
    const asked = this.lacks === '' ? this.records.query({ text: 'select 1' }) : this.checkSchema();
    return asked.then(
      () => true,
      (error) => (error instanceof SchemaError ? 'waits for `npm run migrate`' : 'does not answer'),
    );
  }

  /**
   * Streams the rows of a query through a cursor, for results that do not fit in memory.
   *
   * @param batchSize rows fetched at once.
   */
  async *stream<Row>(text: string, values: unknown[] = [], batchSize = 1_000): AsyncGenerator<Row> {
    // Outside the pool: reading a million rows takes longer than a statement of the hot path may.
    const client = await this.connect();
    const rows = client.query(new QueryStream(text, values, { batchSize }));
    try {
      for await (const row of rows) yield row as Row;
    } catch (error) {
      throw asOutage(error);
    } finally {
      rows.destroy();
      await hangUp(client);
    }
  }

  /**
   * Opens a connection outside the pool, such as one that holds a session lock.
   *
   * @param queryTimeoutMs how long a statement on it may go without an answer; as long as it takes when absent.
   */
  async connect(queryTimeoutMs?: number): Promise<pg.Client> {
    const client = new pg.Client({
      ...connectionOptions(this.options.url),
      query_timeout: queryTimeoutMs,
    });
    // Until its owner listens, a loss of the connection must not end the process.
    client.on('error', () => {});
    await client.connect().catch((error) => {
      throw new DatabaseUnavailableError(error);
    });
    return client;
  }

  /** Nest calls it last, when requests and jobs are done. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}

/** Ends a connection of {@link Database.connect}, by force if need be: `end` alone waits for TCP, a quarter of an hour. */
export async function hangUp(client: pg.Client): Promise<void> {
  await settledWithin(client.end(), CLOSE_TIMEOUT_MS);
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}

function connectionOptions(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'warren',
  };
}
