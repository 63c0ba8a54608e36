import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { BatchesModule } from '#batches';
import { Settings, SettingsModule } from '#config';
import * as contracts from '#contracts';
import * as schedules from '#contracts/schedules';
import { HealthModule } from '#health';
import { IsolationModule } from '#isolation';
import { JobErrorFilter, JobServer, JobsModule } from '#jobs';
import { LimitsModule } from '#limits';
import { RabbitMQModule } from '#rabbitmq';
import { Database, RecordsModule } from '#records';
import { SchedulesModule } from '#schedules';
import { rootLog, TelemetryModule } from '#telemetry';
import { FileStore } from './file-store.js';
import * as handlers from './handlers/index.js';
import { Mailer } from './mailer.js';
import { OutboundHttp } from './outbound-http.js';

/** Does the work. */
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
      useFactory: (settings: Settings) => ({
        maxPayload: settings.MAX_PAYLOAD,
        queues: settings.WORKER_QUEUES,
        prefetch: settings.WORKER_PREFETCH,
        shutdownGraceMs: settings.SHUTDOWN_GRACE,
        log: rootLog('worker', settings.LOG_LEVEL),
      }),
    }),
    SchedulesModule.forRoot({ schedules }),
    IsolationModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({
        entry: new URL('./isolated/isolated.js', import.meta.url),
        memoryMb: settings.ISOLATED_MEMORY,
        threads: settings.ISOLATED_THREADS,
        log: rootLog('worker', settings.LOG_LEVEL),
      }),
    }),
    LimitsModule,
    TelemetryModule.forRootAsync({
      inject: [Settings],
      useFactory: (settings: Settings) => ({
        service: 'warren-worker',
        otlpEndpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
      }),
    }),
    BatchesModule.forWorker(),
    HealthModule.forRoot({
      inject: [JobServer, Database],
      useFactory: (server: JobServer, database: Database) => [
        {
          name: 'consumers',
          check: () => server.detached.length === 0 || `not attached: ${server.detached.join(', ')}`,
        },
        { name: 'database', check: () => database.answers() },
      ],
    }),
  ],
  // In brackets, for `nest generate controller` to add to.
  controllers: [...Object.values(handlers)],
  providers: [
    // First, so that filters of your own come before it.
    { provide: APP_FILTER, useClass: JobErrorFilter },
    FileStore,
    Mailer,
    OutboundHttp,
  ],
})
export class WorkerModule {}
