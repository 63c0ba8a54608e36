import { Logger, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { Settings, SettingsModule } from '#config';
import * as contracts from '#contracts';
import { HealthModule } from '#health';
import { Contracts, JobsModule } from '#jobs';
import { Broker, RabbitMQModule, TopologyError } from '#rabbitmq';
import { Database, RecordsModule } from '#records';
import { ApiKeyGuard } from './api-key.guard.js';
import { BatchesHttpModule } from './batches/batches-http.module.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { JobEventsController } from './job-events.controller.js';
import { JobWatcher } from './job-watcher.js';
import { JobsController } from './jobs.controller.js';
import { OpenApiController } from './openapi.controller.js';
import { ProblemFilter } from './problem.filter.js';
import { QueuesController } from './queues.controller.js';

/** HTTP in, 202 out. */
@Module({
  imports: [
    SettingsModule.forRoot(),
    RecordsModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({ url: settings.DATABASE_URL, poolSize: settings.DATABASE_POOL }),
    }),
    RabbitMQModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({ urls: settings.RABBITMQ_URL }),
    }),
    JobsModule.forRootAsync({
      contracts,
      inject: [Settings],
      useFactory: (settings: Settings) => ({ maxPayload: settings.MAX_PAYLOAD }),
    }),
    BatchesHttpModule,
    // Ready means that a job can be accepted. That needs the database; the broker may be away.
    HealthModule.forRoot({
      inject: [Database],
      useFactory: (database: Database) => [{ name: 'database', check: () => database.answers() }],
    }),
  ],
  controllers: [
    JobsController,
    JobEventsController,
    DeadLettersController,
    QueuesController,
    OpenApiController,
  ],
  providers: [
    JobWatcher,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_GUARD, useClass: ApiKeyGuard },
  ],
})
export class ApiModule implements OnApplicationBootstrap {
  constructor(
    private readonly broker: Broker,
    private readonly contracts: Contracts,
  ) {}

  /** Checks the topology as soon as a broker answers; until then jobs are accepted all the same. */
  onApplicationBootstrap(): void {
    this.broker.check(this.contracts.topology).catch((error) => {
      new Logger(ApiModule.name).fatal(error instanceof TopologyError ? error.message : error);
      process.exit(1);
    });
  }
}
