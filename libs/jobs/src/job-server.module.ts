import { type DynamicModule, Module, type ModuleMetadata } from '@nestjs/common';
import { AfterDeath } from './after-death.js';
import { DeadLettering } from './dead-lettering.js';
import { Cancellations } from './duties/cancellations.js';
import { DeadLetterKeeper } from './duties/dead-letter-keeper.js';
import { HeldJobs } from './duties/held-jobs.js';
import { Pauses } from './duties/pauses.js';
import { RelayModule } from './duties/relay.js';
import { Rescuer } from './duties/rescuer.js';
import { StartDeadlines } from './duties/start-deadlines.js';
import { WorkerStatus } from './duties/worker-status.js';
import { HandlerRegistry } from './handler-registry.js';
import { Invoker } from './invoker.js';
import { JobErrorModule } from './job-error.filter.js';
import { JobLogs } from './job-logs.js';
import { JobServer } from './job-server.js';
import { Executor } from './lifecycle/executor.js';
import { OneShot } from './one-shot.js';
import { Progress } from './progress.js';

/** What a worker needs beyond the `JobsModule` and a `Log`: it connects {@link JobServer} as its transport. */
@Module({})
export class JobServerModule {
  /** @param parts modules of what may take part in how jobs run, such as limits and isolation; exported to the handlers. */
  static forRoot(parts: NonNullable<ModuleMetadata['imports']> = []): DynamicModule {
    return {
      module: JobServerModule,
      imports: [RelayModule, JobErrorModule, ...parts],
      providers: [
        ...[JobServer, HandlerRegistry, Executor, Invoker, Progress, JobLogs],
        ...[AfterDeath, DeadLettering, OneShot],
        ...[Cancellations, DeadLetterKeeper, HeldJobs, Pauses, Rescuer, StartDeadlines, WorkerStatus],
      ],
      exports: [JobServer, Executor, OneShot, RelayModule, ...(parts as DynamicModule[])],
    };
  }
}
