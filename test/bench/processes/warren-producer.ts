import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as contracts from '#contracts';
import { Jobs, JobsModule } from '#jobs';
import type { Measured } from '../contracts.js';
import { countStatements } from '../count-statements.js';
import { serveProducer } from '../producer.js';

/** What an app has that enqueues jobs. */
@Module({
  imports: [JobsModule.forRoot({ contracts })],
})
class ProducerModule {}

const app = await NestFactory.createApplicationContext(ProducerModule, {
  logger: ['warn', 'error', 'fatal'],
});
const jobs = app.get(Jobs);
if (process.env.BENCH_STATEMENTS) countStatements();
const known = (Object.values(contracts) as unknown as (typeof Measured)[]).filter(({ name }) =>
  name.endsWith('.measured'),
);
let turn = 0;
/** Of several contracts each gets its turn. */
const next = () => known[turn++ % known.length] as typeof Measured;
serveProducer({
  enqueue: (payload) => jobs.enqueue(next(), payload),
  enqueueMany: (payloads) => jobs.enqueueMany(next(), payloads),
});
