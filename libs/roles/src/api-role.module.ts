import { type DynamicModule, Module } from '@nestjs/common';
import { HealthModule } from '#health';
import { JobsModule, type JobsModuleOptions, QueueMetrics } from '#jobs';
import { Database } from '#records';
import { TelemetryModule } from '#telemetry';

/** What an app needs that puts jobs in and shows them, beside its routes. It runs no job. */
@Module({})
export class ApiRoleModule {
  static forRoot(options: JobsModuleOptions): DynamicModule {
    return {
      module: ApiRoleModule,
      imports: [
        JobsModule.forRoot(options),
        TelemetryModule.forRoot('api'),
        // Ready means that a job can be accepted. That needs the database; the broker may be away.
        HealthModule.forRoot({
          inject: [Database],
          useFactory: (database: Database) => [{ name: 'database', check: () => database.answers() }],
        }),
      ],
      providers: [QueueMetrics],
    };
  }
}
