export { type BatchCounts, BatchStore, BatchView } from './batch-store.js';
export { Batches, type BatchOptions, BatchResult, type EnqueuedBatch } from './batches.js';
export { BatchesModule } from './batches.module.js';
