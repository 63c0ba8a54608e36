import { type Thrown, toError } from '#jobs';

/** The thread of an isolated handler ended in the middle of its job. The attempt failed; the worker goes on. */
export class IsolatedCrashError extends Error {
  override readonly name = 'IsolatedCrashError';
}

/**
 * Says why a thread ended.
 *
 * @param error what nobody in the thread caught. @param exitCode given to `process.exit` otherwise.
 */
export function describeCrash(
  error: Thrown | undefined,
  exitCode: number,
  memoryMb: number,
): IsolatedCrashError {
  if (!error) {
    return new IsolatedCrashError(
      `The handler ended its thread with process.exit(${exitCode}): throw an error instead`,
    );
  }
  if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new IsolatedCrashError(
      `The handler ran out of its memory limit of ${memoryMb} MB: process less at once, or raise ISOLATED_MEMORY`,
    );
  }
  return new IsolatedCrashError(`An error that nobody caught ended the handler's thread: ${error.message}`, {
    cause: toError(error),
  });
}
