export { forwardedLog, writeForwarded } from './forwarded-log.js';
export { type Log, NestLogger, rootLog, scrubbedLog } from './logger.js';
export { lookUp, type Sample, scrape } from './lookup.js';
export * as metrics from './metrics.js';
export { endOnStrayErrors, logWarnings, type StrayError } from './process-events.js';
export { isNoSecret, isSecretKey, REDACTED } from './redact.js';
export { Tally } from './tally.js';
export { TelemetryModule, type TelemetryOptions } from './telemetry.module.js';
export { currentTraceparent, readTraceparent, type Step, startStep, traceIdOf } from './tracing.js';
