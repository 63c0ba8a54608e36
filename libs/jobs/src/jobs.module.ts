import { type DynamicModule, Module } from '@nestjs/common';
import { type Settings, SettingsModule } from '#config';
import type { AnyContract } from '#define-job';
import { RabbitMQModule } from '#rabbitmq';
import { RecordsModule, Redaction } from '#records';
import { ContractRedaction } from './contract-redaction.js';
import { Contracts } from './contracts.js';
import { Jobs } from './jobs.js';
import { Outbox } from './outbox.js';

/** What an app needs to know of its jobs. */
export interface JobsModuleOptions {
  /** A module's exports (`import * as contracts from '#contracts'`), or a list. */
  contracts: Record<string, AnyContract> | readonly AnyContract[];
  /** Where the settings come from; the environment when absent. */
  settings?: () => Settings;
}

/**
 * Jobs for an app, with the records and the broker that they need: `JobsModule.forRoot({ contracts })`. Global: whatever
 * module enqueues or shows jobs injects {@link Jobs} and the parts of the records. What a worker needs beyond this is the
 * `JobServerModule`.
 */
@Module({})
export class JobsModule {
  static forRoot({ contracts, settings }: JobsModuleOptions): DynamicModule {
    return {
      module: JobsModule,
      global: true,
      imports: [SettingsModule.forRoot(settings), RecordsModule, RabbitMQModule],
      providers: [
        { provide: Contracts, useFactory: () => new Contracts(contracts) },
        { provide: Redaction, useClass: ContractRedaction },
        Jobs,
        Outbox,
      ],
      exports: [RecordsModule, RabbitMQModule, Contracts, Redaction, Jobs, Outbox],
    };
  }
}
