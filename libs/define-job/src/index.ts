export {
  type AnyContract,
  type Contract,
  defineJob,
  type PayloadInput,
  type PayloadOf,
  type ResultOf,
} from './define-job.js';
export { type Duration, duration, formatDuration, toMilliseconds } from './duration.js';
export { ContractError, NonRetryableError, RetryAfterError } from './errors.js';
export { adviceOn } from './fits-json.js';
export { pointerTo } from './json-pointer.js';
export { facesOf, innerOf, type Schema } from './schema-walk.js';
export { isSecret, secret } from './secret.js';
export { Snooze, snooze } from './snooze.js';
export { hasEnded, type JobState, jobStates, type Priority, priorities } from './states.js';
