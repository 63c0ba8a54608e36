import { afterAll, beforeAll } from '@jest/globals';
import { IsolationModule, type IsolationOptions } from '#isolation';
import type { AnyContract, OwnOptions, PayloadInput } from '#jobs';
import { JobQueries, type JobView } from '#records';
import { forwardedLog } from '#telemetry';
import {
  type AppOptions,
  type Environment,
  givenEnvironment,
  givenProducer,
  givenWorker,
} from '#testing/services';
import { compile } from '../../support/compile.js';
import { contracts, handlers, providers } from './handlers.js';

/** For the tests of a file: a producer, and one worker at a time that runs isolated handlers in threads. */
export function isolatingWorker() {
  let entry = '';
  let environment: Environment;
  let producer: Awaited<ReturnType<typeof givenProducer>>;
  let worker: Awaited<ReturnType<typeof givenWorker>> | undefined;
  /** What the worker logged, its threads' lines among them. */
  const logged: Record<string, unknown>[] = [];
  const log = forwardedLog('info', (line) => logged.push(JSON.parse(line)));

  beforeAll(async () => {
    const files = ['thread', 'handlers', 'odd-handlers', 'broken-modules'];
    entry = await compile(...files.map((name) => new URL(`./${name}.ts`, import.meta.url)));
    environment = await givenEnvironment(contracts);
    producer = await givenProducer(environment, { contracts });
  });
  afterAll(async () => {
    await producer?.close();
    await environment?.close();
  });

  return {
    logged,
    /** What a thread runs, compiled. */
    entry: () => entry,
    producer: () => producer,
    start: async (
      isolation: Partial<IsolationOptions> = {},
      { settings, ...options }: Partial<AppOptions> = {},
    ) => {
      worker = await givenWorker(environment, {
        ...{ contracts, handlers, providers, log },
        settings: { ISOLATED_MEMORY: 128, ...settings },
        imports: [IsolationModule.forRoot({ entry, ...isolation })],
        ...options,
      });
    },
    stop: async () => {
      const stopping = worker?.close();
      worker = undefined;
      await stopping;
    },
    enqueue: async <C extends AnyContract>(contract: C, payload: PayloadInput<C>, options?: OwnOptions) =>
      (await producer.jobs.enqueue(contract, payload, options)).id,
    view: async (id: string) => (await producer.app.get(JobQueries).find(id)) as JobView,
  };
}
