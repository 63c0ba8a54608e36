export { forwardedLog, writeForwarded } from './forwarded-log.js';
export { type Keep, Log, NestLogger, rootLog, scrubbedLog } from './logger.js';
export { lookUp, type Sample, scrape } from './lookup.js';
export * as metrics from './metrics.js';
export { endOnStrayErrors, logWarnings, type StrayError } from './process-events.js';
export { isNoSecret, isSecretKey, REDACTED } from './redact.js';
export { Tally } from './tally.js';
export { TelemetryModule } from './telemetry.module.js';
export {
  currentTraceparent,
  readTraceHeaders,
  type Step,
  startStep,
  traceHeadersOf,
  traceIdOf,
} from './tracing.js';
export { untilLogged, useLog } from './use-log.js';
