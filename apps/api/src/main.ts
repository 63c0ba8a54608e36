import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadSettings, SettingsError } from '#config';
import { listenAddress, makeHttpAdapter } from '#http';
import { endOnStrayErrors, untilLogged, useLog } from '#telemetry';
import { ApiModule } from './api.module.js';
import { describeApi } from './openapi.controller.js';
import { logFailedRequests } from './request-log.js';

try {
  const settings = loadSettings();
  const address = listenAddress(settings);
  const app = await NestFactory.create<NestFastifyApplication>(ApiModule, makeHttpAdapter(settings), {
    ...untilLogged,
    bodyParser: false,
  });
  const log = useLog(app);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  endOnStrayErrors(log);
  describeApi(app);
  logFailedRequests(app.getHttpAdapter().getInstance(), log);
  await app.listen(settings.PORT, address);
  log.info(`The api listens on ${await app.getUrl()}`);
} catch (error) {
  // The log's level may be what is wrong, and one message has to come through whatever it is.
  process.stderr.write(`${error instanceof SettingsError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
