export { IsolatedCrashError } from './crash.js';
export { IsolationModule } from './isolation.module.js';
export type { IsolationOptions } from './isolation.module-definition.js';
export { serveIsolated } from './serve-isolated.js';
