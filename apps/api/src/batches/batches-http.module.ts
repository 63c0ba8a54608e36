import { Module } from '@nestjs/common';
import { BatchesModule } from '#batches';
import { BatchesController } from './batches.controller.js';

/** Batches over HTTP. To do without, delete this folder, `libs/batches` and the line that imports either. */
@Module({ imports: [BatchesModule], controllers: [BatchesController] })
export class BatchesHttpModule {}
