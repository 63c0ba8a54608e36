import { type DynamicModule, Module } from '@nestjs/common';
import { Settings } from '#config';
import { Isolation } from '#jobs';
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
          inject: [Settings, Log],
          useFactory: ({ ISOLATED_MEMORY, ISOLATED_THREADS }: Settings, log: Log) =>
            new ThreadPool({ ...options, memoryMb: ISOLATED_MEMORY, threads: ISOLATED_THREADS, log }),
        },
      ],
      exports: [Isolation],
    };
  }
}
