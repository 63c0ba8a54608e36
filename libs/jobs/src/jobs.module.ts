import { Module } from '@nestjs/common';
import { Redaction } from '#records';
import { Contracts } from './contracts.js';
import { DeadLettering } from './dead-lettering.js';
import { Cancellations } from './duties/cancellations.js';
import { DeadLetterKeeper } from './duties/dead-letter-keeper.js';
import { Pauses } from './duties/pauses.js';
import { Relay } from './duties/relay.js';
import { Rescuer } from './duties/rescuer.js';
import { WorkerStatus } from './duties/worker-status.js';
import { Invoker } from './invoker.js';
import { JobServer } from './job-server.js';
import { Jobs } from './jobs.js';
import { ConfigurableModuleClass } from './jobs.module-definition.js';
import { Executor } from './lifecycle/executor.js';
import { OneShot } from './one-shot.js';
import { Outbox } from './outbox.js';
import { Progress } from './progress.js';
import { ContractRedaction } from './redaction.js';

/**
 * Jobs for an app: `JobsModule.forRoot({ contracts, … })`, or `forRootAsync` where settings are injected. It needs
 * `RabbitMQModule` and `RecordsModule` beside it. An app that only produces injects {@link Jobs}; a worker connects
 * {@link JobServer} as its transport.
 */
@Module({
  providers: [
    ...[Jobs, Outbox, JobServer, Executor, Progress, Cancellations, Pauses, Relay, Rescuer, DeadLetterKeeper],
    ...[DeadLettering, Invoker, WorkerStatus, OneShot],
    { provide: Redaction, useClass: ContractRedaction },
  ],
  exports: [Jobs, JobServer, OneShot, Relay, Contracts, Redaction],
})
export class JobsModule extends ConfigurableModuleClass {}
