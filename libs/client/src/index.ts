export type { Batch } from './bulk.js';
export { createClient, type EnqueueOptions, type Job, JobFailedError, type Next } from './client.js';
export type { JobEvent } from './events.js';
export { ProblemError } from './requests.js';
