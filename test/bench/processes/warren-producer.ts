import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { loadSettings } from '#config';
import { Jobs, JobsModule } from '#jobs';
import { RabbitMQModule } from '#rabbitmq';
import { RecordsModule } from '#records';
import { Measured } from '../contracts.js';
import { serveProducer } from '../producer.js';

const settings = loadSettings();

/** What an app has that enqueues jobs. */
@Module({
  imports: [
    RecordsModule.forRoot({ url: settings.DATABASE_URL, poolSize: settings.DATABASE_POOL }),
    RabbitMQModule.forRoot({ urls: settings.RABBITMQ_URL }),
    JobsModule.forRoot({ contracts: { Measured }, maxPayload: settings.MAX_PAYLOAD }),
  ],
})
class ProducerModule {}

const app = await NestFactory.createApplicationContext(ProducerModule, {
  logger: ['warn', 'error', 'fatal'],
});
const jobs = app.get(Jobs);
serveProducer({
  enqueue: (payload) => jobs.enqueue(Measured, payload),
  enqueueMany: (payloads) => jobs.enqueueMany(Measured, payloads),
});
