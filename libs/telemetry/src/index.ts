export { forwardedLog, writeForwarded } from './forwarded-log.js';
export { type Log, NestLogger, rootLog } from './logger.js';
