import { Module } from '@nestjs/common';
import { Isolation } from '#jobs';
import { ConfigurableModuleClass } from './isolation.module-definition.js';
import { ThreadPool } from './thread-pool.js';

/**
 * Lets a worker run handlers with `isolated: true`: `IsolationModule.forRoot({ entry, memoryMb, log })`, or
 * `forRootAsync`. Without it a worker that has such a handler does not start.
 */
@Module({ providers: [{ provide: Isolation, useClass: ThreadPool }], exports: [Isolation] })
export class IsolationModule extends ConfigurableModuleClass {}
