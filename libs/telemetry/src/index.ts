export { forwardedLog, writeForwarded } from './forwarded-log.js';
export { type Log, NestLogger, rootLog } from './logger.js';
export { lookUp, type Sample, scrape } from './lookup.js';
export * as metrics from './metrics.js';
export { TelemetryModule } from './telemetry.module.js';
