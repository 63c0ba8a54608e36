import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { Log } from '#telemetry';

/** What the threads of isolated handlers need to know. */
export interface IsolationOptions {
  /** The module that each thread runs; it calls `serveIsolated`. Compiled JavaScript: `new URL('./isolated/isolated.js', import.meta.url)`. */
  entry: URL | string;
  /** Heap that one thread may use, in MB. */
  memoryMb: number;
  /** Threads that start and run at once; as many as there are cores for this process when absent. */
  threads?: number;
  /** Where the threads log what belongs to no job. */
  log: Log;
  /** How long a thread waits for its next job before it ends, in milliseconds; 30 s when absent. */
  idleMs?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<IsolationOptions>()
    .setClassMethodName('forRoot')
    .setExtras({}, (definition) => ({ ...definition, global: true }))
    .build();
