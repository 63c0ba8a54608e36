export { OverloadedError } from './coalescer.js';
export { Database, DatabaseUnavailableError, type Queryable } from './database.js';
export { type DeadCount, type DeadLetterFilter, DeadRecords } from './dead-records.js';
export { type Change, isAfter } from './history.js';
export { migrateDatabase } from './migrate.js';
export { Presence } from './presence.js';
export {
  type Claim,
  type ClaimRequest,
  type DueRecord,
  type InsertedRecord,
  type JobKey,
  type NewRecord,
  type NextRecord,
  PRODUCER_GRACE_MS,
  type Previous,
  Records,
  type Settlement,
} from './records.js';
export { RecordsModule } from './records.module.js';
export type { RecordsOptions } from './records.module-definition.js';
export {
  type AttemptView,
  hasEnded,
  type JobState,
  type JobView,
  jobStates,
  type ListFilter,
  type QueueCounts,
  Views,
  type WatchedJob,
} from './views.js';
