// A worker with a schedule that ticks each second, as a process of its own over the compiled libs: plain JavaScript,
// so that node runs it as it is. The tests that start it declare the topology of its contract.
import { Module } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { defineJob, JobErrorFilter, JobHandler, JobServer, JobsModule } from '#jobs';
import { RabbitMQModule } from '#rabbitmq';
import { RecordsModule } from '#records';
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
    RecordsModule.forRoot({ url: process.env.DATABASE_URL, poolSize: 4 }),
    RabbitMQModule.forRoot({ urls: [process.env.RABBITMQ_URL] }),
    JobsModule.forRoot({ contracts: [Tick], maxPayload: 1024, shutdownGraceMs: 5_000 }),
    SchedulesModule.forRoot({ schedules: { everySecond } }),
  ],
  controllers: [TickHandler],
  providers: [{ provide: APP_FILTER, useClass: JobErrorFilter }],
})(TickingModule);

const app = await NestFactory.create(TickingModule, new FastifyAdapter(), { logger: ['warn', 'error'] });
app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
await app.init();
await app.startAllMicroservices();
