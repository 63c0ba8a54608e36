import { userInfo } from 'node:os';
import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Settings } from '#config';
import { Contracts, Encryption, Jobs, Queues, Relay } from '#jobs';
import { Broker } from '#rabbitmq';
import {
  Audit,
  BulkStore,
  DeadJobStore,
  type Done,
  EncryptedColumns,
  JobLogStore,
  JobQueries,
  JobSearch,
  JobStore,
  OutboxStore,
  QueueStore,
  WorkerStore,
} from '#records';
import { Schedules } from '#schedules';
import { CliModule } from './cli.module.js';

export type Tools = Awaited<ReturnType<typeof openTools>>;

/** Connects to the database and the broker through the same libs as the apps. */
export async function openTools() {
  const app = await NestFactory.createApplicationContext(CliModule, {
    logger: new ErrorOutput({ logLevels: ['warn', 'error', 'fatal'] }),
    abortOnError: false,
  });
  const audit = app.get(Audit);
  return {
    /** Runs an action, and records who did it and how much it changed. */
    audited: <Result>(
      action: string,
      subject: string,
      task: () => Promise<Result>,
      doneBy?: (result: Result) => Done,
    ) => audit.record({ actor: account(), via: 'cli', action, subject }, task, doneBy),
    broker: app.get(Broker),
    bulk: app.get(BulkStore),
    contracts: app.get(Contracts),
    dead: app.get(DeadJobStore),
    encryption: new Encryption(app.get(Settings)),
    encryptedColumns: app.get(EncryptedColumns),
    jobs: app.get(Jobs),
    queues: app.get(Queues),
    queueStore: app.get(QueueStore),
    outbox: app.get(OutboxStore),
    store: app.get(JobStore),
    relay: app.get(Relay),
    schedules: app.get(Schedules),
    logs: app.get(JobLogStore),
    queries: app.get(JobQueries),
    search: app.get(JobSearch),
    workers: app.get(WorkerStore),
    close: () => app.close(),
  };
}

/** The user who runs the command. In a container it may have no name. */
function account(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

/** Logs to standard error: standard output is for results. */
class ErrorOutput extends ConsoleLogger {
  protected override printMessages(messages: unknown[], context?: string, level?: LogLevel): void {
    super.printMessages(messages, context, level, 'stderr');
  }
}
