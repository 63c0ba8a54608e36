import { parentPort, workerData } from 'node:worker_threads';
import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { type Settings, SettingsModule } from '#config';
import { FACADE, facade, type JobsModuleOptions, Outbox, type PendingMessage } from '#jobs';
import { RecordsModule } from '#records';
import type { FromThread } from './messages.js';

/** Connections to the database that one thread may open; it runs one job at a time. */
const POOL_SIZE = 2;
/** Messages that a thread hands to its worker at once. */
const ROOM = 1_000;

/** Has the worker publish what a thread enqueues: its broker connection serves all. What is lost on the way the relay publishes. */
class WorkersOutbox implements Pick<Outbox, 'publish' | 'room' | 'backpressure'> {
  readonly room = ROOM;
  async publish(job: PendingMessage): Promise<boolean> {
    parentPort?.postMessage({ kind: 'enqueued', job } satisfies FromThread);
    return true;
  }
  backpressure(): undefined {}
}

/** Jobs and records for the module of isolated handlers: `IsolatedJobsModule.forRoot({ contracts })`. Global. */
@Module({})
export class IsolatedJobsModule {
  static forRoot({ contracts }: Pick<JobsModuleOptions, 'contracts'>): DynamicModule {
    const workers = () => (workerData as { settings: Settings }).settings;
    const withSmallPool = () => ({ ...workers(), DATABASE_POOL: POOL_SIZE });
    return {
      module: IsolatedJobsModule,
      global: true,
      imports: [SettingsModule.forRoot(withSmallPool), RecordsModule, DiscoveryModule],
      providers: [...facade({ contracts }), { provide: Outbox, useClass: WorkersOutbox }],
      exports: [RecordsModule, ...FACADE],
    };
  }
}
