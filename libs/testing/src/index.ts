export {
  type AppOptions,
  givenProducer,
  givenProducerAndWorker,
  givenWorker,
  type Producer,
} from './apps.js';
export { type Environment, givenEnvironment, type Letter, type ServiceAddresses } from './environment.js';
export { eventually } from './eventually.js';
export { givenJob, type TestJob } from './given-job.js';
export { InlineJobs } from './inline-jobs.js';
export { type AppProcess, freePort, givenProcess } from './processes.js';
export { type RecordedJob, RecordingJobs } from './recording-jobs.js';
export { builtApps, root } from './root.js';
export { type JobRun, type RunOptions, runJob } from './run-job.js';
