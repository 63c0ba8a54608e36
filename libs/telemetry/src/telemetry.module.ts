import {
  ConfigurableModuleBuilder,
  Inject,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { MetricsController } from './metrics.controller.js';

/** What an app tells of itself. */
export interface TelemetryOptions {
  /** Its name in traces. */
  service: string;
  /** Where traces go to; without it none are made. */
  otlpEndpoint?: string;
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<TelemetryOptions>()
  .setClassMethodName('forRoot')
  .build();

/** Metrics at `GET /metrics`, and traces where they are wanted. */
@Module({ controllers: [MetricsController] })
export class TelemetryModule extends ConfigurableModuleClass implements OnModuleInit, OnApplicationShutdown {
  private stopTracing = async () => {};

  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: TelemetryOptions) {
    super();
  }

  async onModuleInit(): Promise<void> {
    if (!this.options.otlpEndpoint) return;
    const { startSdk } = await import('./tracing-sdk.js');
    this.stopTracing = startSdk(this.options.service);
  }

  /** Nest calls it last, when requests and jobs are done. */
  async onApplicationShutdown(): Promise<void> {
    await this.stopTracing();
  }
}
