/** Exit codes. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2, notFound: 3, interrupted: 130 } as const;

/** Ends a command with a message that says what to do. */
export class Failure extends Error {
  override readonly name = 'Failure';
  constructor(
    message: string,
    readonly code: number = EXIT.failed,
  ) {
    super(message);
  }
}

/** What to do when the broker refuses. */
export const MIGRATION_USER = 'take the addresses of the migration (docs/security.md)';

/** No such job, queue, schedule or dead letter. */
export const notFound = (message: string) => new Failure(message, EXIT.notFound);
/** Wrong arguments. */
export const wrongUse = (message: string) => new Failure(message, EXIT.wrongUse);

/** The exit code of an expected error, undefined for others. By name: not every command loads the classes. */
export function codeOf(error: Error): number | undefined {
  if (error instanceof Failure) return error.code;
  return EXPECTED[error.name];
}

const EXPECTED: Record<string, number> = {
  SettingsError: EXIT.failed,
  TopologyError: EXIT.failed,
  SchemaError: EXIT.failed,
  DatabaseUnavailableError: EXIT.failed,
  OverloadedError: EXIT.failed,
  PayloadError: EXIT.failed,
  ContractViolationError: EXIT.failed,
  IdempotencyConflictError: EXIT.failed,
  ContractError: EXIT.wrongUse,
  InputError: EXIT.wrongUse,
  UnknownContractError: EXIT.notFound,
  UnknownJobError: EXIT.notFound,
  NotEndedError: EXIT.failed,
  EnqueueRefusedError: EXIT.failed,
};
