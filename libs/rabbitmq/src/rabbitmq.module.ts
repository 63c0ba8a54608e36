import { Module } from '@nestjs/common';
import { Broker } from './broker.js';
import { ConfigurableModuleClass } from './rabbitmq.module-definition.js';

/** Connects an app to RabbitMQ: `RabbitMQModule.forRoot({ urls })`, or `forRootAsync` where settings are injected. */
@Module({ providers: [Broker], exports: [Broker] })
export class RabbitMQModule extends ConfigurableModuleClass {}
