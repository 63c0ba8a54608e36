import { type DynamicModule, Module } from '@nestjs/common';
import { Settings } from '#config';
import { Isolation, Outbox } from '#jobs';
import { Log } from '#telemetry';
import { type IsolationOptions, ThreadPool } from './thread-pool.js';

/** Lets a worker run handlers with `isolated: true`. Without it a worker that has such a handler does not start. */
@Module({})
export class IsolationModule {
  static forRoot(options: IsolationOptions): DynamicModule {
    return {
      module: IsolationModule,
      providers: [
        {
          provide: Isolation,
          inject: [Settings, Log, Outbox],
          useFactory: (settings: Settings, log: Log, outbox: Outbox) =>
            new ThreadPool({ ...options, settings: { ...settings }, log, outbox }),
        },
      ],
      exports: [Isolation],
    };
  }
}
