export { type Log, NestLogger, rootLog } from './logger.js';
