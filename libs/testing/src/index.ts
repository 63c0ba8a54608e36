export { eventually } from './eventually.js';
export { givenJob, type TestJob } from './given-job.js';
export { InlineJobs } from './inline-jobs.js';
export { type RecordedJob, RecordingJobs } from './recording-jobs.js';
export { type JobRun, type RunOptions, runJob } from './run-job.js';
