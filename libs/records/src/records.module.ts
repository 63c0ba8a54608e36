import { Module } from '@nestjs/common';
import { Audit } from './audit.js';
import { Database } from './database.js';
import { DeadRecords } from './dead-records.js';
import { JobSearch } from './job-search.js';
import { OutboxRecords } from './outbox-records.js';
import { QueueRecords } from './queue-records.js';
import { Records } from './records.js';
import { ConfigurableModuleClass } from './records.module-definition.js';
import { RecordsDatabase } from './records-database.js';
import { Retention } from './retention.js';
import { Throughput } from './throughput.js';
import { UnprocessableMessages } from './unprocessable-messages.js';
import { Views } from './views.js';
import { WorkerLock } from './worker-lock.js';
import { WorkerRecords } from './worker-records.js';

const parts = [
  ...[Records, OutboxRecords, DeadRecords, QueueRecords, WorkerRecords, UnprocessableMessages],
  ...[Views, Retention, WorkerLock, Audit, JobSearch, Throughput],
  Database,
  { provide: RecordsDatabase, inject: [Database], useFactory: ({ records }: Database) => records },
];

/** Connects an app to the job records: `RecordsModule.forRoot({ url, poolSize })`, or `forRootAsync`. */
@Module({ providers: parts, exports: parts })
export class RecordsModule extends ConfigurableModuleClass {}
