import type { Log } from './logger.js';

/** What is known of an error that nobody caught. */
export interface StrayError {
  /** What the log line has. */
  fields: object;
  /** Where it came from. */
  whose: string;
}

/**
 * A process that was told to end by such an error has ended by then, in whatever way; longer than the time that a worker
 * gives its jobs then.
 */
const END_WITHIN_MS = 40_000;

/** Sends Node's warnings to the log, rather than as text to standard error. */
export function logWarnings(log: Log): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log.warn({ err: warning }, warning.message));
}

/**
 * Ends the process when an error comes that nobody caught, for nobody knows its state then: once, however many come, in
 * the order that SIGTERM ends it in, and with exit code 1. Call it when SIGTERM is handled.
 *
 * @param blame told of each. @returns what ends the process likewise.
 */
export function endOnStrayErrors(
  log: Log,
  blame = (error: unknown): StrayError => ({ fields: { err: error }, whose: 'this process' }),
): (error: unknown, how: string) => void {
  // A job that is to blame is refused these; see `RunningAttempts`.
  const { exit, kill } = process;
  let isEnding = false;
  const end = (error: unknown, how: string) => {
    const { fields, whose } = blame(error);
    const text = `${how}: uncaught error of ${whose}`;
    if (isEnding) return log.error(fields, text);
    isEnding = true;
    log.fatal(fields, `${text}; the process ends`);
    process.once('exit', () => {
      process.exitCode = 1;
    });
    setTimeout(() => exit.call(process, 1), END_WITHIN_MS).unref();
    kill.call(process, process.pid, 'SIGTERM');
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', (error) => end(error, 'unhandledRejection'));
  return end;
}
