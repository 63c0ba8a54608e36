export { hasEnded, type JobState, jobStates, type Priority, priorities } from '#define-job';
export type {
  AttemptView,
  DeadGroup,
  Done,
  JobView,
  MessageView,
  Previous,
  QueueView,
  WorkerView,
} from '#resources';
export { type Action, Audit, type AuditLine, type Via } from './audit.js';
export { MAX_CRASHES } from './claims.js';
export { Database, DatabaseUnavailableError, type Queryable, SchemaError } from './database.js';
export {
  type BulkOptions,
  type DeadCount,
  type DeadLetterState,
  DeadRecords,
  type ReplayOptions,
  SHOWN_GROUPS,
} from './dead-records.js';
export type { DeadLetterFilter } from './dead-statements.js';
export { likeForms, type StoredError, saidBy } from './error-form.js';
export { type Change, isAfter } from './history.js';
export type {
  Claim,
  ClaimRequest,
  InsertedRecord,
  JobKey,
  KeyedInsert,
  KeyedRecord,
  NewRecord,
  NextRecord,
  Postponement,
  Refused,
  Settlement,
  Taken,
} from './job-record.js';
export { type FoundJob, JobSearch, type JobsFound, type SearchFilter } from './job-search.js';
export { migrateDatabase } from './migrate.js';
export { type DueRecord, OutboxRecords } from './outbox-records.js';
export { emptyQueue, QueueRecords } from './queue-records.js';
export { PRODUCER_GRACE_MS, Records } from './records.js';
export { RecordsModule } from './records.module.js';
export { RecordsDatabase } from './records-database.js';
export { type Ages, type Pruned, Retention } from './retention.js';
export { eachApart, OverloadedError, StatementBatcher } from './statement-batcher.js';
export { checkText, checkTime, InputError, isStorable, UNSTORABLE } from './text.js';
export { type AttemptOutcome, outcomes, type Tally, Throughput } from './throughput.js';
export {
  type ReceivedMessage,
  type StoredMessage,
  type UnprocessableMessage,
  UnprocessableMessages,
} from './unprocessable-messages.js';
export {
  type ListFilter,
  Redaction,
  Views,
  viewOfNew,
  type WatchedJob,
} from './views.js';
export { WorkerLock } from './worker-lock.js';
export { WorkerRecords, type WorkerReport } from './worker-records.js';
