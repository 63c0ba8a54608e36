import type { INestApplicationContext } from '@nestjs/common';
import { Log, NestLogger } from './logger.js';
import { logWarnings } from './process-events.js';

/** Options to create an app with: logs are buffered until {@link useLog}, and `main.ts` reports errors. */
export const untilLogged = { bufferLogs: true, autoFlushLogs: false, abortOnError: false };

/** Makes Nest and Node log to the log of the app. @returns that log. */
export function useLog(app: INestApplicationContext): Log {
  const log = app.get(Log);
  app.useLogger(new NestLogger(log));
  app.flushLogs();
  logWarnings(log);
  return log;
}
