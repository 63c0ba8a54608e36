import { type DynamicModule, Module, type ModuleMetadata } from '@nestjs/common';
import { HealthModule } from '#health';
import { JobServer, JobServerModule, JobsModule, type JobsModuleOptions } from '#jobs';
import { Broker } from '#rabbitmq';
import { Database } from '#records';
import { TelemetryModule } from '#telemetry';
import { servicesReady } from './api-role.module.js';

/** What an app needs that runs jobs, beside its handlers. */
@Module({})
export class WorkerRoleModule {
  /** @param options.parts what else this worker can do: limits, isolation, schedules, batches; handlers see their exports. */
  static forRoot({
    parts,
    ...options
  }: JobsModuleOptions & { parts?: ModuleMetadata['imports'] }): DynamicModule {
    const server = JobServerModule.forRoot(parts);
    return {
      module: WorkerRoleModule,
      imports: [
        JobsModule.forRoot(options),
        TelemetryModule.forRoot('worker'),
        server,
        HealthModule.forRoot({
          ...{ imports: [server], inject: [Database, Broker, JobServer] },
          useFactory: readiness,
        }),
      ],
      exports: [server],
    };
  }
}

const readiness = (database: Database, broker: Broker, server: JobServer) => [
  {
    name: 'consumers',
    check: () => server.detached.length === 0 || `not attached: ${server.detached.join(', ')}`,
  },
  ...servicesReady(database, broker),
];
