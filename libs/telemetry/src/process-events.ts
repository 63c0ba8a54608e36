import type { Log } from './logger.js';

export interface StrayError {
  fields: object;
  whose: string;
}

/** Latest exit after an uncaught error. Longer than the time that a worker gives its jobs then. */
const END_WITHIN_MS = 40_000;

/** Logs Node's warnings instead of writing them to standard error. */
export function logWarnings(log: Log): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log.warn({ err: warning }, warning.message));
}

/**
 * Ends the process after an uncaught error, because its state is unknown then: as SIGTERM does, with exit code 1. Call it
 * after the shutdown hooks are enabled.
 *
 * @param blame called for each error. @returns a function that ends the process in the same way.
 */
export function endOnStrayErrors(
  log: Log,
  blame = (error: unknown): StrayError => ({ fields: { err: error }, whose: 'this process' }),
): (error: unknown, how: string) => void {
  // `RunningAttempts` replaces these for handlers.
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
