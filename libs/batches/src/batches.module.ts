import { type DynamicModule, Module } from '@nestjs/common';
import { BatchKeeper } from './batch-keeper.js';
import { BatchStore } from './batch-store.js';
import { Batches } from './batches.js';

/** Jobs that are enqueued and counted together. A worker imports `BatchesModule.forWorker()`, which also completes batches. */
@Module({ providers: [Batches, BatchStore], exports: [Batches, BatchStore] })
export class BatchesModule {
  static forWorker(): DynamicModule {
    return { module: BatchesModule, providers: [BatchKeeper] };
  }
}
