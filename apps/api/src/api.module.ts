import { Logger, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { untilAvailable } from '#common';
import { Settings, SettingsModule } from '#config';
import * as contracts from '#contracts';
import { HealthModule } from '#health';
import { Contracts, JobsModule, QueueMetrics } from '#jobs';
import { Broker, RabbitMQModule, TopologyError } from '#rabbitmq';
import { Database, RecordsModule, SchemaError } from '#records';
import { TelemetryModule } from '#telemetry';
import { BatchesHttpModule } from './batches/batches-http.module.js';
import { DashboardModule } from './dashboard/dashboard.module.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { HttpModule } from './http.module.js';
import { JobEventsController } from './job-events.controller.js';
import { JobWatcherModule } from './job-watcher.js';
import { JobsController } from './jobs.controller.js';
import { OpenApiController } from './openapi.controller.js';
import { QueuesController } from './queues.controller.js';
import { SchedulesHttpModule } from './schedules.controller.js';
import { WorkersController } from './workers.controller.js';

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
    HttpModule,
    JobWatcherModule,
    SchedulesHttpModule,
    BatchesHttpModule,
    DashboardModule,
    TelemetryModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({
        service: 'warren-api',
        otlpEndpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
      }),
    }),
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
    WorkersController,
    OpenApiController,
  ],
  providers: [QueueMetrics],
})
export class ApiModule implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();

  constructor(
    private readonly broker: Broker,
    private readonly database: Database,
    private readonly contracts: Contracts,
  ) {}

  /**
   * Checks schema and topology as soon as database and broker answer. Until then the api runs: it answers 503 without
   * the database, and accepts jobs without the broker.
   */
  onApplicationBootstrap(): void {
    const { signal } = this.stopping;
    Promise.all([
      untilAvailable(() => this.database.checkSchema(), signal),
      this.broker.check(this.contracts.topology, signal),
    ]).catch((error) => {
      // An app that is closed while it checks, as a short test does, has lost its connections by that.
      if (signal.aborted) return;
      const isExpected = error instanceof TopologyError || error instanceof SchemaError;
      new Logger(ApiModule.name).fatal(isExpected ? error.message : error);
      process.exit(1);
    });
  }

  onModuleDestroy(): void {
    this.stopping.abort();
  }
}
