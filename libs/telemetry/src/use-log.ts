import type { INestApplicationContext } from '@nestjs/common';
import { Log, NestLogger } from './logger.js';
import { logWarnings } from './process-events.js';

/** How an app is made that logs by its own {@link Log}. What keeps it from being made is for its `main.ts` to tell. */
export const untilLogged = { bufferLogs: true, autoFlushLogs: false, abortOnError: false };

/** Has Nest and Node log as the app does, from the first line on. */
export function useLog(app: INestApplicationContext): Log {
  const log = app.get(Log);
  app.useLogger(new NestLogger(log));
  app.flushLogs();
  logWarnings(log);
  return log;
}
