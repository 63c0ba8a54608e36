import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import QueryStream from 'pg-query-stream';
import { maskUrl } from '#config';
import { pendingMigrations } from './migrate.js';
import { MODULE_OPTIONS_TOKEN, type RecordsOptions } from './records.module-definition.js';
import type { Schema } from './schema.js';

/** How long to wait for a connection, and for a statement; a job's own statements take milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** How long to wait for the server when leaving it. */
const FAREWELL_MS = 1_000;

/**
 * A plan is kept for as long as its connection and outlives what it was made for: a claim planned while nothing waited
 * read all that waits, and took 20 ms among 20,000 jobs in place of 2, until the next ANALYZE. What is read here is
 * found by keys or narrow indexes, so plans that read more are out of the question, whatever the statistics say.
 */
const PLANNER = [
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'enable_material=off',
  // What is looked up was written moments ago, and is in memory.
  'random_page_cost=1.1',
];

/** Whatever runs a statement: the {@link Database}, or a transaction of the caller's own (`pg.PoolClient`). */
export interface Queryable {
  query(statement: { text: string; values: unknown[]; name?: string }): Promise<{ rows: unknown[] }>;
}

/**
 * The pool of connections to PostgreSQL. It alone knows the driver. Its statements are planned for looking things up
 * by key; for a report over many rows take {@link stream}.
 */
@Injectable()
export class Database implements Queryable, OnApplicationShutdown {
  private readonly logger = new Logger(Database.name);
  private readonly pool: pg.Pool;
  private awaySince: number | undefined;
  /** The same pool behind a typed query builder, for queries that are put together at run time. */
  readonly builder: Kysely<Schema>;

  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: RecordsOptions) {
    this.pool = new pg.Pool({
      ...connectionOptions(options.url),
      options: PLANNER.map((setting) => `-c ${setting}`).join(' '),
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
  async query<Row>(statement: {
    text: string;
    values: unknown[];
    name?: string;
  }): Promise<{ rows: Row[]; rowCount: number | null }> {
    try {
      const result = (await this.pool.query(statement)) as unknown as pg.QueryResult & { rows: Row[] };
      if (this.awaySince !== undefined) this.tellEnd(this.awaySince);
      return result;
    } catch (cause) {
      const error = asUnavailable(cause);
      if (error instanceof DatabaseUnavailableError && this.awaySince === undefined) {
        this.awaySince = performance.now();
        this.logger.error(error.message);
      }
      throw error;
    }
  }

  /** An outage is told when it begins and when it ends, however many statements it stops. */
  private tellEnd(since: number): void {
    this.awaySince = undefined;
    this.logger.log(
      `The database answers again, after ${((performance.now() - since) / 1_000).toFixed(1)} s`,
    );
  }

  /**
   * Checks that the database has every migration that this code needs.
   *
   * @throws SchemaError that names those that it lacks; DatabaseUnavailableError when it does not answer.
   */
  async checkSchema(): Promise<void> {
    const pending = await pendingMigrations(this.options.url).catch((error) => {
      throw asUnavailable(error);
    });
    if (pending.length > 0) throw new SchemaError(pending);
  }

  /**
   * Runs statements in one transaction: all of them, or none when the task throws.
   *
   * @throws DatabaseUnavailableError when the database does not answer; they may or may not have run.
   */
  async transaction<T>(task: (transaction: Queryable) => Promise<T>): Promise<T> {
    const client = await this.pool.connect().catch((error) => {
      throw asUnavailable(error);
    });
    // Lost between two statements, it fails the next one and must not end the process.
    client.on('error', ignore);
    const query = (statement: string | Parameters<Queryable['query']>[0]) =>
      client.query(statement).catch((error) => {
        throw asUnavailable(error);
      });
    let rolledBack = true;
    try {
      await query('begin');
      const result = await task({ query });
      await query('commit');
      return result;
    } catch (error) {
      rolledBack = await client.query('rollback').then(
        () => true,
        () => false,
      );
      throw error;
    } finally {
      client.off('error', ignore);
      client.release(!rolledBack);
    }
  }

  /** Whether the database answers, for readiness. Why not stands in the log only: that names hosts, and anybody may ask. */
  async answers(): Promise<true | string> {
    return this.query({ text: 'select 1', values: [] }).then(
      () => true,
      () => 'does not answer',
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
      throw asUnavailable(error);
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
      throw asUnavailable(error);
    });
    return client;
  }

  /** Nest calls it last, when requests and jobs are done. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}

/**
 * Ends a connection that {@link Database.connect} opened: in good order where the server answers, by force where it
 * does not. `end` alone would wait for a server that is out of reach for as long as TCP tries, a quarter of an hour.
 */
export async function hangUp(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => {});
  await Promise.race([ended, pause(FAREWELL_MS, undefined, { ref: false })]);
  (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}

/** The database's schema is older than the code. Its message says what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  constructor(pending: readonly string[]) {
    super(`The database lacks the migrations ${pending.join(', ')}: run \`npm run migrate\``);
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

const ignore = () => {};

function connectionOptions(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'warren',
  };
}

/**
 * What passes, or is not the statement's fault, becomes {@link DatabaseUnavailableError}: jobs wait for it, rather
 * than become dead letters. Errors of a statement stay as they are. SQLSTATE classes: 08 connection, 28 and 3D log-in,
 * 40 deadlock, 53 resources, 55 locks, 57 operator intervention (with time-outs and restarts), 58 system; 25006 is a
 * database that is read-only after a failover, and the 42s one that is not migrated yet or lacks a grant. What has no
 * SQLSTATE came from the socket, unless it is a mistake of ours.
 */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const { code } = error as { code?: string };
  const fromServer = error instanceof pg.DatabaseError && code !== undefined;
  return fromServer && !/^(08|25006|28|3D|40|42501|42703|42P01|53|55|57|58)/.test(code)
    ? error
    : new DatabaseUnavailableError(error);
}
