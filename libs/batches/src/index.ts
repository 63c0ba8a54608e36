export { type BatchCounts, BatchRecords, BatchView } from './batch-records.js';
export { Batches, type BatchOptions, BatchResult, type EnqueuedBatch } from './batches.js';
export { BatchesModule } from './batches.module.js';
