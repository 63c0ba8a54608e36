// A worker process to be killed, over the compiled libs: it holds slots of a concurrency limit and never gives them back.
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { defineJob, JobHandler, JobServer, JobsModule } from '../../dist/libs/jobs/src/index.js';
import { LimitsModule } from '../../dist/libs/limits/src/index.js';
import { RabbitMQModule } from '../../dist/libs/rabbitmq/src/index.js';
import { RecordsModule } from '../../dist/libs/records/src/index.js';

const { RABBITMQ_URL, DATABASE_URL, MAX } = process.env;
const Narrow = defineJob({
  name: 'narrow.work',
  queue: 'work',
  payload: z.object({ tenant: z.string().default('one') }),
  retry: [],
});

class NarrowHandler {
  async handle({ id }) {
    console.log(id);
    await new Promise(() => {});
  }
}
JobHandler(Narrow, { concurrency: { max: Number(MAX) } })(NarrowHandler);

class NarrowModule {}
Module({
  imports: [
    RecordsModule.forRoot({ url: DATABASE_URL, poolSize: 2 }),
    RabbitMQModule.forRoot({ urls: [RABBITMQ_URL] }),
    JobsModule.forRoot({ contracts: [Narrow], maxPayload: 1024 }),
    LimitsModule,
  ],
  controllers: [NarrowHandler],
})(NarrowModule);

const app = await NestFactory.create(NarrowModule, new FastifyAdapter(), { logger: ['error'] });
app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
await app.init();
await app.startAllMicroservices();
