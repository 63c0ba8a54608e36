// A worker with a schedule that ticks each second, as a process of its own over the compiled libs: plain JavaScript,
// so that node runs it as it is. The tests that start it declare the topology of its contract.
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { loadSettings } from '#config';
import { defineJob, JobHandler, JobServer } from '#jobs';
import { WorkerRoleModule } from '#roles';
import { defineSchedule, SchedulesModule } from '#schedules';

const Tick = defineJob({ name: 'tick', queue: 'tick', payload: z.object({}) });
const everySecond = defineSchedule({ name: 'every.second', cron: '* * * * * *', job: Tick, payload: {} });

class TickHandler {
  handle() {}
}
JobHandler(Tick)(TickHandler);

class TickingModule {}
Module({
  imports: [
    WorkerRoleModule.forRoot({
      contracts: [Tick],
      settings: () => loadSettings({ ...process.env, SHUTDOWN_GRACE: '5s' }),
      parts: [SchedulesModule.forRoot({ schedules: { everySecond } })],
    }),
  ],
  controllers: [TickHandler],
})(TickingModule);

const app = await NestFactory.create(TickingModule, new FastifyAdapter(), { logger: ['warn', 'error'] });
app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
await app.init();
await app.startAllMicroservices();
