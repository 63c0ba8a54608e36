// A worker process to be killed, over the compiled libs: it holds slots of a concurrency limit and never gives them back.
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { defineJob, JobHandler, JobServer } from '../../dist/libs/jobs/src/index.js';
import { LimitsModule } from '../../dist/libs/limits/src/index.js';
import { WorkerRoleModule } from '../../dist/libs/roles/src/index.js';

const { MAX } = process.env;
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
  imports: [WorkerRoleModule.forRoot({ contracts: [Narrow], parts: [LimitsModule] })],
  controllers: [NarrowHandler],
})(NarrowModule);

const app = await NestFactory.create(NarrowModule, new FastifyAdapter(), { logger: ['error'] });
app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
await app.init();
await app.startAllMicroservices();
