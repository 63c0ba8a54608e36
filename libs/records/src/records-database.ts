import { Logger } from '@nestjs/common';
import type pg from 'pg';
import { asPassing, DatabaseUnavailableError, isDeadlock } from './database-errors.js';

/** How often what PostgreSQL ended to resolve a deadlock is run again. It changed nothing, and finds the locks free. */
const DEADLOCK_RETRIES = 5;

/** A statement; with a name it is prepared once for each connection. */
export interface Statement {
  name?: string;
  text: string;
  values?: unknown[];
}

/** Whatever runs a statement: a database, or a transaction of the caller's own (`pg.PoolClient`). */
export interface Queryable {
  query(statement: Statement): Promise<{ rows: unknown[] }>;
}

/** Runs a statement of which only the rows matter. */
export async function rowsOf<Row>(database: Queryable, statement: Statement) {
  return (await database.query(statement)).rows as Row[];
}

/** The database for Warren's own statements: planned by keys, and errors that pass are told apart from those of a job. */
export class RecordsDatabase implements Queryable {
  private readonly logger = new Logger('Database');
  private awaySince: number | undefined;
  private readonly lacks = new Set<string>();

  constructor(private readonly pool: pg.Pool) {}

  /**
   * Runs one statement on any connection, and again after a deadlock.
   *
   * @throws DatabaseUnavailableError when the database does not answer; the statement may or may not have run.
   */
  async query<Row>(
    statement: Statement,
    retries = DEADLOCK_RETRIES,
  ): Promise<{ rows: Row[]; rowCount: number | null }> {
    try {
      const result = (await this.pool.query(statement)) as unknown as pg.QueryResult & { rows: Row[] };
      if (this.awaySince !== undefined) this.tellEnd(this.awaySince);
      return result;
    } catch (cause) {
      if (retries > 0 && isDeadlock(cause)) return this.query(statement, retries - 1);
      const error = asPassing(cause);
      if (error instanceof DatabaseUnavailableError) this.tellBegin(error);
      throw error;
    }
  }

  /** What the schema lacks is told once: the database answers, and goes on to do so. */
  private tellBegin({ message, isOfSchema }: DatabaseUnavailableError): void {
    if (isOfSchema ? this.lacks.has(message) : this.awaySince !== undefined) return;
    if (isOfSchema) this.lacks.add(message);
    else this.awaySince = performance.now();
    this.logger.error(message);
  }

  /** An outage is logged once when it begins and once when it ends. */
  private tellEnd(since: number): void {
    this.awaySince = undefined;
    const afterMs = Math.round(performance.now() - since);
    this.logger.log({ msg: 'The database answers again', afterMs });
  }

  /**
   * Runs statements in one transaction: all of them, or none when the task throws.
   *
   * @param task called again after a deadlock.
   * @throws DatabaseUnavailableError when the database does not answer; they may or may not have run.
   */
  async transaction<T>(task: (transaction: Queryable) => Promise<T>, retries = DEADLOCK_RETRIES): Promise<T> {
    let isBroken = false;
    const run = (client: pg.PoolClient) => inTransaction(client, task, asPassing, () => (isBroken = true));
    return lend(this.pool, run, async () => isBroken).catch((error) => {
      if (retries > 0 && isDeadlock(error?.cause)) return this.transaction(task, retries - 1);
      throw error;
    });
  }
}

/** Lends a connection of a pool to a task. @param isBroken says afterwards whether it is to be closed; nobody waits for it. */
export async function lend<T>(
  pool: pg.Pool,
  task: (client: pg.PoolClient) => Promise<T>,
  isBroken: (client: pg.PoolClient) => Promise<boolean>,
): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw new DatabaseUnavailableError(error);
  });
  // Lost between two statements, it fails the next one and must not end the process.
  const ignore = () => {};
  client.on('error', ignore);
  try {
    return await task(client);
  } finally {
    void isBroken(client).then((broken) => {
      client.off('error', ignore);
      client.release(broken);
    });
  }
}

/**
 * Runs a task between `begin` and `commit`; rolls back when it throws.
 *
 * @param translate makes of an error of a statement what is thrown.
 * @param onBroken told when the connection could not be rolled back.
 */
export async function inTransaction<T>(
  client: pg.PoolClient,
  task: (transaction: Queryable) => Promise<T>,
  translate: (error: unknown) => unknown,
  onBroken = () => {},
): Promise<T> {
  const query = (statement: string | Statement) =>
    client.query(statement as string).catch((error) => {
      throw translate(error);
    });
  try {
    await query('begin');
    const result = await task({ query });
    await query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(onBroken);
    throw error;
  }
}
