import { Module } from '@nestjs/common';
import { Settings } from '#config';
import { Audit } from './audit.js';
import { BulkStore } from './bulk-store.js';
import { Database } from './database.js';
import { DeadJobStore } from './dead-job-store.js';
import { EncryptedColumns } from './encrypted-columns.js';
import { JobLogStore } from './job-log-store.js';
import { JobQueries } from './job-queries.js';
import { JobSearch } from './job-search.js';
import { JobStore } from './job-store.js';
import { OutboxStore } from './outbox-store.js';
import { QueueStore } from './queue-store.js';
import { RecordsDatabase } from './records-database.js';
import { Retention } from './retention.js';
import { Throughput } from './throughput.js';
import { UnprocessableMessages } from './unprocessable-messages.js';
import { WorkerLock } from './worker-lock.js';
import { WorkerStore } from './worker-store.js';

const parts = [
  ...[JobStore, OutboxStore, DeadJobStore, QueueStore, WorkerStore, UnprocessableMessages],
  ...[JobQueries, JobSearch, JobLogStore, BulkStore, EncryptedColumns, Retention],
  ...[WorkerLock, Audit, Throughput],
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
