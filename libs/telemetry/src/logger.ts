import { types } from 'node:util';
import type { LoggerService } from '@nestjs/common';
import { type Level, type LogFn, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { maskUrl } from '#config';
import { redactFields } from './redact.js';

/** A structured log: `log.info({ rows }, 'Report written')`. */
export interface Log
  extends Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child' | 'level'> {}
/** The injection token of the log. */
export abstract class Log {}

/**
 * Makes the log of a process: JSON lines on standard output, or readable lines on a terminal.
 *
 * @param app the name of the process in each line.
 * @param level the lowest level that is written.
 */
export function rootLog(app: string, level: string): Log {
  const options = { level, base: { app, pid: process.pid }, ...guards(maskUrl) };
  if (process.stdout.isTTY) return guardChildren(pino(options, pretty(terminal)), maskUrl);
  output ??= gatheredOutput();
  return guardChildren(pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, output), maskUrl);
}

/** As pino numbers it. */
const INFO = 30;

/** One for all logs of a process. */
let output: ReturnType<typeof gatheredOutput> | undefined;
const GATHER_MS = 100;
const GATHER_LENGTH = 8_192;

/**
 * Writes lines together: every 100 ms, every 8 KiB and at exit. One by one they cost a system call for each job, and pino's
 * `minLength` copies all that it holds for each line, a fifth of a worker's allocations.
 */
function gatheredOutput() {
  let lines = '';
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (lines) standardOutput.write(lines);
    lines = '';
  };
  // Runs before pino's own listener, which flushes its destination.
  process.on('exit', flush);
  const standardOutput = pino.destination({ dest: 1, sync: false });
  return {
    write(line: string) {
      lines += line;
      if (lines.length >= GATHER_LENGTH) flush();
      else timer ??= setTimeout(flush, GATHER_MS).unref();
    },
    // pino calls it after a fatal line.
    flushSync() {
      flush();
      standardOutput.flushSync();
    },
  };
}

/** `10:15:30.123 INFO (email.send): Attempt succeeded {"job":"0192…","attempt":1}`; pino-pretty puts `name` in brackets. */
const terminal = {
  ignore: 'pid,hostname,app',
  translateTime: 'HH:MM:ss.l',
  singleLine: true,
  sync: true,
};

type Clean = (text: string) => string;

/** Options of pino that redact fields ({@link redactFields}) and turn a line that cannot be read into one that says so. */
export const guards = (clean: Clean) => ({
  hooks: {
    logMethod(this: Logger, line: Parameters<LogFn>, write: LogFn) {
      try {
        write.apply(this, line);
      } catch {
        write.call(this, {}, 'A log line is left out: what was passed to the log cannot be read');
      }
    },
  },
  formatters: { log: <Fields extends object>(fields: Fields) => redactFields(fields, clean) },
  serializers: {
    // For a symbol or a function pino writes invalid JSON.
    msg: (text: unknown) =>
      typeof text === 'string' ? clean(text) : /symbol|function/.test(typeof text) ? String(text) : text,
    // The formatter has converted errors to plain fields.
    err: (fields: unknown) => fields,
  },
});

/** Redacts the fields of child logs, too, which pino does not pass to its formatters. */
export function guardChildren(log: Logger, clean: Clean): Logger {
  const { child } = log;
  log.child = function (this: Logger, fields: object, options?: object) {
    return child.call(this, redactFields(Object(fields), clean), options);
  } as typeof child;
  return log;
}

/** Takes a line: its level, and its message (`msg`) and fields as JSON, without what each line of the log has. */
export type Keep = (level: Level, said: string) => void;

/** A child log without the secrets of one job. @param scrub removes them from a text. @param keep gets lines of info and above. */
export function scrubbedLog(log: Log, scrub: Clean, keep?: Keep): Log {
  const clean = (text: string) => maskUrl(scrub(text));
  const child = guardChildren(log.child({}, guards(clean)) as Logger, clean);
  return keep ? tapped(child, keep) : child;
}

const { symbols } = pino;
interface Inner {
  [symbols.asJsonSym](this: Inner, fields: object, message: unknown, level: number, time: string): string;
  [symbols.chindingsSym]: string;
  [symbols.lsCacheSym]: Record<number, string>;
}

/** Also hands on what a log, and its children, write. It is read off the line, which is redacted and made only once. */
function tapped(log: Logger, keep: Keep): Logger {
  const inner = log as unknown as Inner;
  const write = inner[symbols.asJsonSym];
  inner[symbols.asJsonSym] = function (fields, message, level, time) {
    const line = write.call(this, fields, message, level, time);
    const before = `${inner[symbols.lsCacheSym][level]}${time}${inner[symbols.chindingsSym]}`;
    if (level >= INFO)
      keep(pino.levels.labels[level] as Level, `{${line.slice(before.length).replace(/^,/, '')}`);
    return line;
  };
  return log;
}

/** Parts of Nest that log every module and route at start. */
const START_UP = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
  'NestMicroservice',
]);

/** Logs for Nest. An object with `msg` is a line with fields: `logger.warn({ msg: 'Channel closed', queue })`. */
export class NestLogger implements LoggerService {
  constructor(private readonly root: Log) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.write(START_UP.has(String(rest.at(-1))) ? 'debug' : 'info', message, rest);
  }
  readonly error = this.at('error');
  readonly warn = this.at('warn');
  readonly debug = this.at('debug');
  readonly verbose = this.at('trace');
  readonly fatal = this.at('fatal');

  private at(level: Level) {
    return (message: unknown, ...rest: unknown[]) => this.write(level, message, rest);
  }

  /** Nest passes the context, usually a class name, as the last argument, and a stack before it. */
  private write(level: Level, message: unknown, rest: unknown[]): void {
    const context = typeof rest.at(-1) === 'string' ? rest.at(-1) : undefined;
    const stack = rest.length > 1 && typeof rest[0] === 'string' ? rest[0] : undefined;
    if (types.isNativeError(message)) this.root[level]({ context, err: message });
    else if (hasFields(message)) {
      const { msg, ...fields } = message;
      this.root[level]({ context, ...fields }, '%s', msg);
    } else this.root[level]({ context, stack }, typeof message === 'object' ? '%j' : '%s', message);
  }
}

const hasFields = (message: unknown): message is { msg: string } =>
  typeof (message as { msg?: unknown } | null)?.msg === 'string';
