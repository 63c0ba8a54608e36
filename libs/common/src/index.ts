export { PollingLoop, type PollingOptions } from './polling-loop.js';
export { settledWithin } from './settled-within.js';
export { TransientError } from './transient-error.js';
export { untilAvailable } from './until-available.js';
