export { type Duration, duration, formatDuration, toMilliseconds } from '#define-job';
export { counted, grouped } from './counted.js';
export { type ApiKey, type Scope, scopes } from './credentials.js';
export { loadDotEnv } from './dot-env.js';
export * from './settings.js';
export { SettingsModule } from './settings.module.js';
export { readBy } from './values.js';
