export { IsolatedCrashError } from './crash.js';
export { IsolatedJobsModule } from './isolated-jobs.module.js';
export { IsolationModule } from './isolation.module.js';
export { serveIsolated } from './serve-isolated.js';
export type { IsolationOptions } from './thread-pool.js';
