import { type DynamicModule, Module } from '@nestjs/common';
import { BatchKeeper } from './batch-keeper.js';
import { BatchStore } from './batch-store.js';
import { Batches } from './batches.js';

/**
 * Jobs that are enqueued together and counted together. An app that makes or shows batches imports `BatchesModule`; a
 * worker imports `BatchesModule.forWorker()`, which also sees to it that batches are completed.
 */
@Module({ providers: [Batches, BatchStore], exports: [Batches, BatchStore] })
export class BatchesModule {
  static forWorker(): DynamicModule {
    return { module: BatchesModule, providers: [BatchKeeper] };
  }
}
