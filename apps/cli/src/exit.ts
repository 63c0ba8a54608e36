/** How a command ends, for its caller. */
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

/** There is no such job, queue, schedule or dead letter. */
export const notFound = (message: string) => new Failure(message, EXIT.notFound);
/** The command was not given what it takes. */
export const wrongUse = (message: string) => new Failure(message, EXIT.wrongUse);

/**
 * Errors whose message says it all, by their names: their classes are loaded only by the commands that need them.
 * Others are told with their stack.
 */
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
  UnknownContractError: EXIT.notFound,
};
