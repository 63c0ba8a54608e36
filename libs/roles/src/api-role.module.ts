import { type DynamicModule, Module } from '@nestjs/common';
import { HealthModule } from '#health';
import { JobsModule, type JobsModuleOptions, QueueMetrics } from '#jobs';
import { Broker } from '#rabbitmq';
import { Database } from '#records';
import { TelemetryModule } from '#telemetry';

/** Whether database and broker are what this code needs, which they are once it has migrated them. The broker may be away. */
export const servicesReady = (database: Database, broker: Broker) => [
  { name: 'database', check: () => database.answers() },
  { name: 'topology', check: () => broker.fits },
];

/** What an app needs that puts jobs in and shows them, beside its routes. It runs no job. */
@Module({})
export class ApiRoleModule {
  static forRoot(options: JobsModuleOptions): DynamicModule {
    return {
      module: ApiRoleModule,
      imports: [
        JobsModule.forRoot(options),
        TelemetryModule.forRoot('api'),
        // Ready means that a job can be accepted. That needs the database.
        HealthModule.forRoot({ inject: [Database, Broker], useFactory: servicesReady }),
      ],
      providers: [QueueMetrics],
    };
  }
}
