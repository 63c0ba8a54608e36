import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadSettings, SettingsError } from '#config';
import { ContractError, JobServer } from '#jobs';
import { TopologyError } from '#rabbitmq';
import { NestLogger, rootLog } from '#telemetry';
import { WorkerModule } from './worker.module.js';

try {
  const settings = loadSettings();
  const app = await NestFactory.create<NestFastifyApplication>(WorkerModule, new FastifyAdapter(), {
    logger: new NestLogger(rootLog('worker', settings.LOG_LEVEL)),
    abortOnError: false,
  });
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
  // Health first: a worker that waits for its broker is alive, and says that it is not ready.
  await app.listen(settings.WORKER_PORT, '0.0.0.0');
  await app.startAllMicroservices();
} catch (error) {
  const isExpected =
    error instanceof SettingsError || error instanceof ContractError || error instanceof TopologyError;
  process.stderr.write(`${isExpected ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
