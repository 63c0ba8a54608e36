import {
  Global,
  type INestApplicationContext,
  Module,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { loadSettings, type Settings } from '#config';
import {
  type AnyContract,
  JobServer,
  JobServerModule,
  Jobs,
  JobsModule,
  type JobsModuleOptions,
  PollIntervals,
} from '#jobs';
import { Broker } from '#rabbitmq';
import { Log, rootLog } from '#telemetry';
import { eventually } from '#testing';
import { type Environment, givenEnvironment } from './environment.js';

/** How a test's producer or worker differs from the usual. */
export interface AppOptions extends Pick<ModuleMetadata, 'imports'> {
  contracts: readonly AnyContract[];
  handlers?: Type[];
  providers?: Provider[];
  settings?: Partial<Settings>;
  /** For jobs whose contract has none. */
  onDead?: JobsModuleOptions['onDead'];
  /** Where a worker logs; nowhere when absent. */
  log?: Log;
}

/** How a test's producer differs from the usual. */
export interface ProducerOptions extends AppOptions {
  /** Whether the producer waits for the broker before it is given; true when absent. */
  withBroker?: boolean;
}

/** A producer in the process of the test. */
export interface Producer {
  jobs: Jobs;
  app: INestApplicationContext;
  close(): Promise<void>;
}

/** A producer and a worker of the same contracts, and the environment that they share with nobody. */
export interface ProducerAndWorker {
  environment: Environment;
  producer: Producer;
  worker: NestFastifyApplication;
  /** Closes all three. */
  close(): Promise<void>;
}

/** A worker in this process, with handlers of the test's own; ready when this resolves. */
export async function givenWorker(
  environment: Environment,
  options: AppOptions,
): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    workerOf(environment, options),
    new FastifyAdapter(),
    {
      logger: false,
      abortOnError: false,
    },
  );
  try {
    app.connectMicroservice({ strategy: app.get(JobServer) }, { inheritAppConfig: true });
    await app.init();
    await app.startAllMicroservices();
  } catch (error) {
    await app.close().catch(() => {});
    throw error;
  }
  return app;
}

/**
 * A producer in this process; connected to the broker when this resolves. What is enqueued before that is left to the
 * relay, which runs in workers only, and there some seconds later.
 */
export async function givenProducer(
  environment: Environment,
  { withBroker = true, ...options }: ProducerOptions,
): Promise<Producer> {
  const app = await NestFactory.createApplicationContext(producerOf(environment, options), { logger: false });
  try {
    if (withBroker) await eventually(() => app.get(Broker).publisher.room > 0);
  } catch (error) {
    await app.close().catch(() => {});
    throw error;
  }
  return { jobs: app.get(Jobs), app, close: () => app.close() };
}

/**
 * What most tests of a promise begin with: an environment, a producer and a worker. When one of them cannot be made, those
 * before it are closed.
 *
 * @param options how the worker differs from the usual; the producer knows its contracts only.
 */
export async function givenProducerAndWorker(options: AppOptions): Promise<ProducerAndWorker> {
  const { contracts } = options;
  const closing: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    const environment = await givenEnvironment(contracts);
    closing.push(() => environment.close());
    const producer = await givenProducer(environment, { contracts });
    closing.push(() => producer.close());
    const worker = await givenWorker(environment, options);
    closing.push(() => worker.close());
    return { environment, producer, worker, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

function producerOf(environment: Environment, { contracts, settings, imports = [] }: AppOptions): Type {
  @Module({
    imports: [
      JobsModule.forRoot({ contracts, settings: () => settingsOf(environment, settings) }),
      ...imports,
    ],
  })
  class ProducerModule {}
  return ProducerModule;
}

function workerOf(
  environment: Environment,
  { contracts, onDead, settings, handlers, providers, imports, log = rootLog('test', 'silent') }: AppOptions,
): Type {
  @Global()
  @Module({
    providers: [
      { provide: Log, useValue: log },
      {
        provide: PollIntervals,
        useValue: {
          deadLetterKeeper: 200,
          heldJobs: 100,
          relay: 50,
          startDeadlines: 100,
        } satisfies PollIntervals,
      },
    ],
    exports: [Log, PollIntervals],
  })
  class SurroundingsModule {}

  @Module({
    imports: [
      SurroundingsModule,
      JobsModule.forRoot({ contracts, onDead, settings: () => settingsOf(environment, settings) }),
      JobServerModule.forRoot(imports),
    ],
    controllers: handlers,
    providers,
  })
  class WorkerModule {}
  return WorkerModule;
}

/** Nothing of the environment of the run, nor of a clone's `.env`. */
const settingsOf = ({ databaseUrl, rabbitmqUrl }: Environment, settings?: Partial<Settings>): Settings => ({
  ...loadSettings({
    DATABASE_URL: databaseUrl,
    DATABASE_POOL: '4',
    RABBITMQ_URL: rabbitmqUrl,
    SHUTDOWN_GRACE: '5s',
  }),
  ...settings,
});
