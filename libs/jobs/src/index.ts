export {
  type AnyContract,
  type Contract,
  ContractError,
  defineJob,
  encrypted,
  exponential,
  type JobToEnqueue,
  job,
  MAX_CHAIN,
  type NextJob,
  type NextOptions,
  NonRetryableError,
  nextJob,
  type OwnOptions,
  type PayloadInput,
  type PayloadOf,
  type ResultOf,
  RetryAfterError,
  retryAfter,
  Snooze,
  secret,
  snooze,
} from '#define-job';
export { AfterDeath } from './after-death.js';
export { ContractRedaction } from './contract-redaction.js';
export { Contracts } from './contracts.js';
export type { DeadLettering } from './dead-lettering.js';
export type { IncomingJob } from './decode.js';
export { PollIntervals } from './duties/poll-intervals.js';
export { Relay, RelayModule } from './duties/relay.js';
export { type PayloadEdit, restored } from './edit.js';
export { Encryption } from './encryption.js';
export { type BeforeEnqueue, EnqueueHook, EnqueueHooks, type JobToCome } from './enqueue-hooks.js';
export {
  type EnqueueOptions,
  idempotencyKeyOf,
  KEY_LENGTH,
  MAX_DELAY_DAYS,
  MAX_TAGS,
  ownOf,
  readTags,
  TAG,
  TAG_LENGTH,
} from './enqueue-options.js';
export * from './errors.js';
export {
  type BatchHandler,
  type BatchResults,
  type BatchSize,
  type Handler,
  type HandlerLimits,
  isIsolated,
  type JobContext,
  JobHandler,
  type JobHandlerOptions,
  takesMany,
} from './handler.js';
export { invoke } from './invoker.js';
export { Isolation, type Seat } from './isolation.js';
export type { ResultOptions } from './job-actions.js';
export { JobErrorModule } from './job-error.filter.js';
export { JobLogs } from './job-logs.js';
export { JobServer } from './job-server.js';
export { JobServerModule } from './job-server.module.js';
export { JobTransport } from './job-transport.js';
export { JobWatcher, type Watcher } from './job-watcher.js';
export { type EnqueuedJob, Jobs } from './jobs.js';
export { FACADE, facade, JobsModule, type JobsModuleOptions } from './jobs.module.js';
export { toJson } from './json.js';
export { payloadSchema } from './json-schema.js';
export { Admission, type Deferral, type Permit } from './lifecycle/admission.js';
export type { AttemptContext } from './lifecycle/attempt-context.js';
export { resultOf } from './lifecycle/collector.js';
export { Executor } from './lifecycle/executor.js';
export { meterOf } from './lifecycle/meter.js';
export { decide, type Outcome } from './lifecycle/outcome.js';
export { type Returned, returned } from './lifecycle/returned.js';
export { encode } from './message.js';
export { OneShot, type OneShotLimits } from './one-shot.js';
export { Outbox, type PendingMessage } from './outbox.js';
export { fittingJson, isTooDeep, parseOrThrow, toViolations } from './payload.js';
export { type Progress, safeProgress } from './progress.js';
export { QueueMetrics } from './queue-metrics.js';
export { adviceOn, Queues } from './queues.js';
export { hasEncrypted, redact } from './redact.js';
export { readThrown, type Thrown, thrownSchema, toError } from './thrown.js';
export { describeMessage } from './unprocessable.js';
export { UpgradeError, upgraded } from './upgrade.js';
