export { forwardedLog, writeForwarded } from './forwarded-log.js';
export { type Log, NestLogger, rootLog, scrubbedLog } from './logger.js';
export { isNoSecret, isSecretKey, REDACTED } from './redact.js';
