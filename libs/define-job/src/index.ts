export * from './define-job.js';
export * from './duration.js';
export * from './errors.js';
export { adviceOn } from './fits-json.js';
export { pointerTo } from './json-pointer.js';
export * from './schema-walk.js';
export * from './secret.js';
export * from './snooze.js';
export * from './states.js';
