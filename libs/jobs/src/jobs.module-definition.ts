import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { AnyContract } from '#define-job';
import type { Log } from '#telemetry';
import { Contracts } from './contracts.js';

/** What the jobs of an app need to know. */
export interface JobsOptions {
  /** Largest payload, and largest result, in bytes of JSON. */
  maxPayload: number;
  /** Queues that a worker serves; all when absent or empty. */
  queues?: readonly string[];
  /** Jobs of one queue that a worker runs at once; 20 when absent. */
  prefetch?: { fallback: number; queues: ReadonlyMap<string, number> };
  /** How long jobs in flight may go on when the worker stops, in milliseconds; 25 s when absent. */
  shutdownGraceMs?: number;
  /** Milliseconds between two looks of a background duty, for tests that wait for it; its own when absent. */
  pollIntervalsMs?: Partial<Record<'deadLetterKeeper' | 'relay', number>>;
  /** Where handlers log. */
  log?: Log;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<JobsOptions>()
    .setClassMethodName('forRoot')
    .setExtras(
      { contracts: {} as Record<string, AnyContract> | readonly AnyContract[] },
      (definition, { contracts }) => ({
        ...definition,
        global: true,
        providers: [
          ...(definition.providers ?? []),
          { provide: Contracts, useFactory: () => new Contracts(contracts) },
        ],
      }),
    )
    .build();
