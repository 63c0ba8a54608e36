import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Contracts, Jobs, Relay } from '#jobs';
import { Broker } from '#rabbitmq';
import { DeadRecords, ForeignLetters, QueueRecords, Records, Views, WorkerRecords } from '#records';
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
  return {
    broker: app.get(Broker),
    contracts: app.get(Contracts),
    dead: app.get(DeadRecords),
    foreign: app.get(ForeignLetters),
    jobs: app.get(Jobs),
    queues: app.get(QueueRecords),
    records: app.get(Records),
    relay: app.get(Relay),
    schedules: app.get(Schedules),
    views: app.get(Views),
    workers: app.get(WorkerRecords),
    close: () => app.close(),
  };
}

/** Standard output is for results. */
class ErrorOutput extends ConsoleLogger {
  protected override printMessages(messages: unknown[], context?: string, level?: LogLevel): void {
    super.printMessages(messages, context, level, 'stderr');
  }
}
