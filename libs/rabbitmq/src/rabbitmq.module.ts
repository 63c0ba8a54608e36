import { Module } from '@nestjs/common';
import { Settings } from '#config';
import { Broker } from './broker.js';

/** Connects an app to RabbitMQ, by its `Settings`. */
@Module({
  providers: [
    {
      provide: Broker,
      inject: [Settings],
      useFactory: ({ RABBITMQ_URL }: Settings) => new Broker({ urls: RABBITMQ_URL }),
    },
  ],
  exports: [Broker],
})
export class RabbitMQModule {}
