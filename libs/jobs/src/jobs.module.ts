import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { type Settings, SettingsModule } from '#config';
import type { AnyContract, OnDead } from '#define-job';
import { RabbitMQModule } from '#rabbitmq';
import { RecordsModule, Redaction } from '#records';
import { ContractRedaction } from './contract-redaction.js';
import { Contracts } from './contracts.js';
import { EnqueueHooks } from './enqueue-hooks.js';
import { JobWatcher } from './job-watcher.js';
import { Jobs } from './jobs.js';
import { Outbox } from './outbox.js';
import { Queues } from './queues.js';

export interface JobsModuleOptions {
  /** A module's exports (`import * as contracts from '#contracts'`), or a list. */
  contracts: Record<string, AnyContract> | readonly AnyContract[];
  /** Names the job that is enqueued when one is dead whose contract has no `onDead`; never for jobs that this one has made. */
  onDead?: OnDead;
  /** Where the settings come from; the environment when absent. */
  settings?: () => Settings;
}

/** What injects {@link Jobs}, wherever its {@link Outbox} publishes. */
export const FACADE = [Contracts, Redaction, Jobs, JobWatcher, EnqueueHooks];
export const facade = ({
  contracts,
  onDead,
}: Pick<JobsModuleOptions, 'contracts' | 'onDead'>): Provider[] => [
  { provide: Contracts, useFactory: () => new Contracts(contracts, onDead) },
  { provide: Redaction, useClass: ContractRedaction },
  ...[Jobs, JobWatcher, EnqueueHooks],
];

/**
 * Jobs, records and broker for an app: `JobsModule.forRoot({ contracts })`. Global: whatever enqueues or shows jobs injects
 * {@link Jobs} and the stores. A worker also needs the `JobServerModule`.
 */
@Module({})
export class JobsModule {
  static forRoot({ settings, ...options }: JobsModuleOptions): DynamicModule {
    return {
      module: JobsModule,
      global: true,
      imports: [SettingsModule.forRoot(settings), RecordsModule, RabbitMQModule, DiscoveryModule],
      providers: [...facade(options), Outbox, Queues],
      exports: [RecordsModule, RabbitMQModule, ...FACADE, Outbox, Queues],
    };
  }
}
