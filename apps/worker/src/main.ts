import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Settings, SettingsError } from '#config';
import { ContractError, Executor, JobServer, OneShot } from '#jobs';
import { endOnStrayErrors, untilLogged, useLog } from '#telemetry';
import { FlagsError, readFlags } from './flags.js';
import { WorkerModule } from './worker.module.js';

try {
  const oneShot = readFlags(process.argv.slice(2));
  // Who asks for health or metrics and does not read the answer must not keep a worker that has drained from ending.
  const adapter = new FastifyAdapter({
    forceCloseConnections: true,
    requestTimeout: 10_000,
    bodyLimit: 1_024,
  });
  const app = await NestFactory.create<NestFastifyApplication>(WorkerModule, adapter, untilLogged);
  const log = useLog(app);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  const executor = app.get(Executor);
  executor.guardProcess(endOnStrayErrors(log, (error) => executor.blame(error)));
  app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
  if (oneShot) {
    // It answers no health checks: several may run beside each other on one machine, and its exit code says how it went.
    await app.init();
    void app
      .get(OneShot)
      .finished(oneShot)
      .then((reason) => {
        if (reason === undefined) return;
        log.info({ reason }, 'Stopping');
        // There is one way in which workers end well, and this is it.
        process.kill(process.pid, 'SIGTERM');
      });
  } else {
    // Health first: a worker that waits for its broker is alive, and says that it is not ready.
    await app.listen(app.get(Settings).WORKER_PORT, '0.0.0.0');
  }
  await app.startAllMicroservices();
} catch (error) {
  const isExpected = [FlagsError, SettingsError, ContractError].some((type) => error instanceof type);
  process.stderr.write(`${isExpected ? (error as Error).message : (error as Error).stack}\n`);
  process.exit(error instanceof FlagsError ? 2 : 1);
}
