import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, type RmqContext, Transport } from '@nestjs/microservices';
import { Tally } from '../tally.js';

const tally = new Tally();

@Controller()
class MeasuredController {
  @EventPattern('bench.measured')
  handle(@Payload() payload: { at: number }, @Ctx() context?: unknown) {
    tally.count(payload.at);
    const message = context as RmqContext;
    message.getChannelRef().ack(message.getMessage());
  }
}

@Module({ controllers: [MeasuredController] })
class WorkerModule {}

const app = await NestFactory.createMicroservice(WorkerModule, {
  logger: ['warn', 'error', 'fatal'],
  transport: Transport.RMQ,
  options: {
    urls: [process.env.RABBITMQ_URL as string],
    queue: 'nest',
    noAck: false,
    prefetchCount: Number(process.env.PREFETCH),
    queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
  },
});
await app.listen();
tally.serve();
