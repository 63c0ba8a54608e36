import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Broker } from '#rabbitmq';
import { lookUp, metrics } from '#telemetry';

/** Metrics of the connection by which an app publishes. */
@Injectable()
export class BrokerMetrics implements OnModuleInit, OnModuleDestroy {
  private stop = () => {};

  constructor(private readonly broker: Broker) {}

  onModuleInit(): void {
    const { publishing } = this.broker;
    this.stop = lookUp([metrics.brokerUp, metrics.brokerBlocked], () => [
      [metrics.brokerUp, Number(publishing.isUp)],
      [metrics.brokerBlocked, Number(publishing.blocked)],
    ]);
  }

  onModuleDestroy(): void {
    this.stop();
  }
}
