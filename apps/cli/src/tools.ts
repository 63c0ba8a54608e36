import { userInfo } from 'node:os';
import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Contracts, Jobs, Relay } from '#jobs';
import { Broker } from '#rabbitmq';
import {
  Audit,
  DeadJobStore,
  type Done,
  JobQueries,
  JobStore,
  OutboxStore,
  QueueStore,
  WorkerStore,
} from '#records';
import { Schedules } from '#schedules';
import { CliModule } from './cli.module.js';

/** What the commands work with. */
export type Tools = Awaited<ReturnType<typeof openTools>>;

/** Connects to database and broker, through the same libs as the apps. Loaded only by commands that run. */
export async function openTools() {
  const app = await NestFactory.createApplicationContext(CliModule, {
    logger: new ErrorOutput({ logLevels: ['warn', 'error', 'fatal'] }),
    abortOnError: false,
  });
  const audit = app.get(Audit);
  return {
    /** Does something that people are answerable for: who did it is kept, and how much it changed. */
    audited: <Result extends number | Done>(action: string, subject: string, task: () => Promise<Result>) =>
      audit.record({ actor: account(), via: 'cli', action, subject }, task),
    broker: app.get(Broker),
    contracts: app.get(Contracts),
    dead: app.get(DeadJobStore),
    jobs: app.get(Jobs),
    queues: app.get(QueueStore),
    outbox: app.get(OutboxStore),
    store: app.get(JobStore),
    relay: app.get(Relay),
    schedules: app.get(Schedules),
    queries: app.get(JobQueries),
    workers: app.get(WorkerStore),
    close: () => app.close(),
  };
}

/** Who runs this. A container may run as a user without a name. */
function account(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

/** Standard output is for results. */
class ErrorOutput extends ConsoleLogger {
  protected override printMessages(messages: unknown[], context?: string, level?: LogLevel): void {
    super.printMessages(messages, context, level, 'stderr');
  }
}
