import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import QueryStream from 'pg-query-stream';
import { maskUrl } from '#config';
import { MODULE_OPTIONS_TOKEN, type RecordsOptions } from './records.module-definition.js';
import type { Schema } from './schema.js';

/** How long to wait for a connection, and for a statement; a job's own statements take milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;

/** Whatever runs a statement: the {@link Database}, or a transaction of the caller's own (`pg.PoolClient`). */
export interface Queryable {
  query(statement: { text: string; values: unknown[]; name?: string }): Promise<{ rows: unknown[] }>;
}

/** The pool of connections to PostgreSQL. It alone knows the driver. */
@Injectable()
export class Database implements Queryable, OnApplicationShutdown {
  private readonly logger = new Logger(Database.name);
  private readonly pool: pg.Pool;
  /** The same pool behind a typed query builder, for queries that are put together at run time. */
  readonly builder: Kysely<Schema>;

  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: RecordsOptions) {
    this.pool = new pg.Pool({
      ...connectionOptions(options.url),
      max: options.poolSize,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      // The client's own limit, for a server that does not answer at all.
      query_timeout: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
    });
    this.pool.on('error', (error) =>
      this.logger.warn(`An idle connection was lost: ${maskUrl(error.message)}`),
    );
    this.builder = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: this.pool }) });
  }

  /**
   * Runs one statement on any connection.
   *
   * @throws DatabaseUnavailableError when the database does not answer; the statement may or may not have run.
   */
  async query<Row>(statement: { text: string; values: unknown[]; name?: string }): Promise<{ rows: Row[] }> {
    try {
      return (await this.pool.query(statement)) as unknown as { rows: Row[] };
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  /**
   * Runs statements in one transaction: all of them count, or none.
   *
   * @throws DatabaseUnavailableError, also when it is not known whether the commit went through.
   */
  async transaction<T>(task: (transaction: Queryable) => Promise<T>): Promise<T> {
    const client = await this.pool.connect().catch((error) => {
      throw asUnavailable(error);
    });
    const transaction: Queryable = {
      query: (statement) =>
        client.query(statement).catch((error) => {
          throw asUnavailable(error);
        }),
    };
    let isBroken = false;
    try {
      await transaction.query({ text: 'begin', values: [] });
      const result = await task(transaction);
      await transaction.query({ text: 'commit', values: [] });
      return result;
    } catch (error) {
      // If it cannot be told to end, what was begun ends with its connection.
      await client.query('rollback').catch(() => {
        isBroken = true;
      });
      throw error;
    } finally {
      client.release(isBroken);
    }
  }

  /** Whether the database answers, for readiness: true, or why not. */
  async answers(): Promise<true | string> {
    return this.query({ text: 'select 1', values: [] }).then(
      () => true,
      (error: Error) => error.message,
    );
  }

  /**
   * Streams the rows of a query through a cursor, for results that do not fit in memory.
   *
   * @param batchSize rows fetched at once.
   */
  async *stream<Row>(text: string, values: unknown[] = [], batchSize = 1_000): AsyncGenerator<Row> {
    const client = await this.pool.connect().catch((error) => {
      throw asUnavailable(error);
    });
    // Reading a million rows takes longer than a statement of the hot path may.
    await client.query('set statement_timeout = 0');
    const rows = client.query(new QueryStream(text, values, { batchSize }));
    try {
      for await (const row of rows) yield row as Row;
    } catch (error) {
      throw asUnavailable(error);
    } finally {
      rows.destroy();
      // Not given back to the pool: its time limit was lifted, and it may be in the middle of a result.
      client.release(true);
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
      throw asUnavailable(error);
    });
    return client;
  }

  /** Nest calls it last, when requests and jobs are done. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}

/** The database does not answer, or refuses new work. Whether a statement that was sent has run is not known. */
export class DatabaseUnavailableError extends Error {
  override readonly name = 'DatabaseUnavailableError';
  constructor(cause: unknown) {
    super(
      `The database does not answer: ${maskUrl((cause as Error).message || String((cause as { code?: string }).code))}`,
      {
        cause,
      },
    );
  }
}

function connectionOptions(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'warren',
  };
}

/**
 * Errors of the connection and of the server's state become {@link DatabaseUnavailableError}; errors of a statement
 * stay as they are. SQLSTATE classes: 08 connection, 53 resources, 57 operator intervention (with time-outs and
 * restarts), 58 system; what has no SQLSTATE came from the socket.
 */
export function asUnavailable(error: unknown): unknown {
  const { code } = error as { code?: string };
  const fromServer = error instanceof pg.DatabaseError && code !== undefined;
  return fromServer && !/^(08|53|57|58)/.test(code) ? error : new DatabaseUnavailableError(error);
}
