import { type Level, pino } from 'pino';
import { maskUrl } from '#config';
import { guardChildren, guards, type Log } from './logger.js';

/**
 * Makes the log of a thread, whose lines the process writes with {@link writeForwarded}.
 *
 * @param send receives each line.
 */
export function forwardedLog(level: string, send: (line: string) => void): Log {
  const { formatters, ...rest } = guards(maskUrl);
  return guardChildren(
    pino(
      {
        ...{ level, base: null, timestamp: false, ...rest },
        formatters: { ...formatters, level: (label) => ({ level: label }) },
      },
      { write: send },
    ),
    maskUrl,
  );
}

/** Writes a line of a {@link forwardedLog}, whose errors have the form of log fields already. */
export function writeForwarded(log: Log, line: string): void {
  const { level, msg, ...fields } = JSON.parse(line) as { level: Level; msg?: string };
  const known = typeof level === 'string' && Object.hasOwn(pino.levels.values, level) ? level : 'info';
  log.child({}, { serializers: { err: (err) => err } })[known](fields, msg);
}
