import { Module } from '@nestjs/common';
import { Settings } from '#config';
import { Audit } from './audit.js';
import { Database } from './database.js';
import { DeadRecords } from './dead-records.js';
import { JobSearch } from './job-search.js';
import { OutboxRecords } from './outbox-records.js';
import { QueueRecords } from './queue-records.js';
import { Records } from './records.js';
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
  {
    provide: Database,
    inject: [Settings],
    useFactory: ({ DATABASE_URL, DATABASE_POOL }: Settings) =>
      new Database({ url: DATABASE_URL, poolSize: DATABASE_POOL }),
  },
  { provide: RecordsDatabase, inject: [Database], useFactory: ({ records }: Database) => records },
];

/** Connects an app to the job records, by its `Settings`. */
@Module({ providers: parts, exports: parts })
export class RecordsModule {}
