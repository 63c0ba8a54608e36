import {
  type DynamicModule,
  Inject,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { Settings } from '#config';
import { Log, rootLog } from './logger.js';
import { MetricsController } from './metrics.controller.js';

const APP = Symbol('name of the app');

/** Log, metrics (`GET /metrics`) and, if configured, traces of an app. Global: any class may inject {@link Log}. */
@Module({})
export class TelemetryModule implements OnModuleInit, OnApplicationShutdown {
  private stopTracing = async () => {};

  /** @param app its name in log lines; in traces it is `warren-` and this. */
  static forRoot(app: string): DynamicModule {
    return {
      module: TelemetryModule,
      global: true,
      controllers: [MetricsController],
      providers: [
        { provide: APP, useValue: app },
        {
          provide: Log,
          inject: [Settings],
          useFactory: ({ LOG_LEVEL }: Settings) => rootLog(app, LOG_LEVEL),
        },
      ],
      exports: [Log],
    };
  }

  constructor(
    @Inject(APP) private readonly app: string,
    private readonly settings: Settings,
  ) {}

  async onModuleInit(): Promise<void> {
    if (!this.settings.OTEL_EXPORTER_OTLP_ENDPOINT) return;
    const { startSdk } = await import('./tracing-sdk.js');
    this.stopTracing = startSdk(`warren-${this.app}`);
  }

  /** Nest calls it last, when requests and jobs are done. */
  async onApplicationShutdown(): Promise<void> {
    await this.stopTracing();
  }
}
