export { hasEnded, type JobState, jobStates, type Priority, priorities } from '#define-job';
export type * from '#resources';
export { type Action, Audit, type AuditLine, type Via } from './audit.js';
export { type BulkAction, BulkStore } from './bulk-store.js';
export { MAX_CRASHES } from './claims.js';
export { columns } from './columns.js';
export { Database, DatabaseUnavailableError, type Queryable, SchemaError } from './database.js';
export {
  type DeadCount,
  DeadJobStore,
  type DeadLetterState,
  type Death,
  type Dying,
  type Edit,
  SHOWN_GROUPS,
} from './dead-job-store.js';
export { EncryptedColumns } from './encrypted-columns.js';
export { likeForms, type StoredError, saidBy } from './error-form.js';
export { GoneWorkers } from './gone-workers.js';
export { type Change, isAfter } from './history.js';
export type { DeadLetterFilter, JobFilter } from './job-filter.js';
export { JobLogStore, type NewLogLine } from './job-log-store.js';
export { PER_SECOND, type RateOptions } from './job-pages.js';
export { JobQueries, type ListFilter, Redaction, viewOfNew, type WatchedJob } from './job-queries.js';
export type * from './job-record.js';
export { type ContractTimes, type FoundJob, JobSearch, type SearchFilter } from './job-search.js';
export { JobStore, PRODUCER_GRACE_MS } from './job-store.js';
export {
  countsByState,
  DEAD_JOBS,
  hasOpenJobs,
  isOpen,
  makeDue,
  PUT_OFF_JOBS,
  SUCCEEDED_JOBS,
} from './jobs-in-sql.js';
export { migrateDatabase } from './migrate.js';
export { type DueRecord, type Homes, OutboxStore } from './outbox-store.js';
export { QueueStore } from './queue-store.js';
export { RecordsModule } from './records.module.js';
export { RecordsDatabase, type Statement } from './records-database.js';
export { type Ages, type Pruned, Retention } from './retention.js';
export { eachApart, OverloadedError, StatementBatcher } from './statement-batcher.js';
export { lockOf } from './statements.js';
export type { StoredJob } from './stored-job.js';
export * from './text.js';
export { type OutcomeCounts, outcomes, Throughput } from './throughput.js';
export {
  type StoredMessage,
  type UnprocessableMessage,
  UnprocessableMessages,
} from './unprocessable-messages.js';
export { named } from './waiting-for.js';
export { readWhere, type Where } from './where.js';
export { WorkerLock } from './worker-lock.js';
export { type Orders, WorkerStore } from './worker-store.js';
