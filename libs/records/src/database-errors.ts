import pg from 'pg';
import { TransientError } from '#common';
import { maskUrl } from '#config';
import { InputError } from './text.js';

/** The database's schema is older than the code, until a migration has run. Its message says what to do. */
export class SchemaError extends TransientError {
  override readonly name = 'SchemaError';
  constructor(pending: readonly string[]) {
    super(`The database lacks the migrations ${pending.join(', ')}: run \`npm run migrate\``);
  }
}

/** The database does not answer, or refuses new work. Whether a statement that was sent has run is not known. */
export class DatabaseUnavailableError extends TransientError {
  override readonly name = 'DatabaseUnavailableError';
  /** Whether it is the schema that is not what this code needs. */
  readonly isOfSchema: boolean;
  constructor(cause: unknown) {
    const { code, message } = cause as { code?: string; message?: string };
    const [codes, what, advice = ''] = REFUSALS.find(([codes]) => code && codes.test(code)) ?? NO_ANSWER;
    super(`${what}: ${maskUrl(message || String(code))}${advice}`, { cause });
    this.isOfSchema = codes === OF_SCHEMA;
  }
}

const OF_SCHEMA = /^42(P01|703)$/;
/** What is said of errors that pass, by their SQLSTATE. */
const REFUSALS: readonly (readonly [codes: RegExp, what: string, advice?: string])[] = [
  [OF_SCHEMA, 'The schema of the database is missing or too old', ': run `npm run migrate`'],
  [/^42501$/, "The database's user lacks a grant"],
  [/^(25006|28|3D|40|55|57014)/, 'The database refuses this at the moment'],
];
const NO_ANSWER = [undefined, 'The database does not answer'] as const;

/** Whether an error is the server's answer to a statement; its SQLSTATE then. */
const stateOf = (error: unknown) => (error instanceof pg.DatabaseError ? error.code : undefined);

/** Whether PostgreSQL ended a statement, and the whole of its transaction, because two waited for each other's locks. */
export const isDeadlock = (error: unknown): boolean => stateOf(error) === '40P01';

/**
 * What passes, or is not the statement's fault, becomes {@link DatabaseUnavailableError}: jobs wait for it. SQLSTATEs: 08
 * connection, 28 and 3D log-in, 40 deadlock, 53 resources, 55 locks, 57 operator, 58 system, 25006 read-only, 42 not migrated
 * or no grant. What has none came from the socket, unless it is our mistake. A value that does not fit was a caller's.
 */
export function asPassing(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const state = stateOf(error);
  if (!state || /^(08|25006|28|3D|40|42501|42703|42P01|53|55|57|58)/.test(state))
    return new DatabaseUnavailableError(error);
  if (!/^22(001|003|007|008|021|01W|P02|P05)$/.test(state)) return error;
  const misfit = new InputError('A value', `cannot be used: ${(error as Error).message}`, { cause: error });
  return Object.assign(misfit, { code: state });
}

/** Tells an outage from the errors of statements that are not Warren's own, which stay as they are. */
export function asOutage(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const isOutage =
    error instanceof pg.DatabaseError
      ? /^(08|53|57P0)/.test(error.code ?? '08')
      : /^E[A-Z]+$/.test(String(code)) || CONNECTION_LOST.test(String(message));
  return isOutage ? new DatabaseUnavailableError(error) : error;
}

/** What the driver says of a connection, without a code. */
const CONNECTION_LOST =
  /^(Connection terminated|Query read timeout|timeout expired|Client (was closed|has encountered))/;
