export { Cache } from './cache.js';
export { Duty } from './duty.js';
export { PollingLoop } from './polling-loop.js';
export { TransientError } from './transient-error.js';
export { untilAvailable } from './until-available.js';
export { webhookHeaders } from './webhook-headers.js';
export { withResolvers } from './with-resolvers.js';
export { settledWithin, withTimeout } from './with-timeout.js';
