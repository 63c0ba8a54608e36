import { expect, test } from '@jest/globals';
import { type InjectionToken, Module, type Type } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { Executor, JobServer, Jobs, OneShot, QueueMetrics, Relay } from '#jobs';
import { Broker } from '#rabbitmq';
import { Database } from '#records';
import { ApiModule } from '../apps/api/src/api.module.js';
import { CliModule } from '../apps/cli/src/cli.module.js';
import { WorkerModule } from '../apps/worker/src/worker.module.js';

/** What only runs jobs, and what keeps watch over them for all. */
const workersOnly = [
  ...[JobServer, Executor, OneShot].map(({ name }) => name),
  ...['Cancellations', 'DeadLetterKeeper', 'DeadLettering', 'HandlerRegistry', 'Invoker', 'JobErrorFilter'],
  ...['JobLogs', 'Pauses', 'Progress', 'WorkerStatus'],
];
/** The same of parts, which a clone may have taken out. */
const workersParts = ['Admission', 'BatchKeeper', 'Isolation', 'Scheduler'];

/** The modules of an app, of which nothing is started. */
async function modulesOf(app: Type) {
  const context = await NestFactory.createApplicationContext(app, { preview: true, logger: false });
  // Nest's own come first, and it puts some providers into every module.
  return [...context.get(ModulesContainer).values()].filter(({ name }) => name !== 'InternalCoreModule');
}
const nameOf = (token: InjectionToken | undefined) =>
  typeof token === 'function' ? token.name : String(token);

test.each<[string, Type, string[], string[]]>([
  ['the api', ApiModule, [QueueMetrics.name], [...workersOnly, ...workersParts, Relay.name]],
  ['the command line', CliModule, [Relay.name], [...workersOnly, ...workersParts, QueueMetrics.name]],
  ['the worker', WorkerModule, [...workersOnly, Relay.name], [QueueMetrics.name]],
])('%s has what its role needs, once, and nothing of the others', async (_, app, needed, foreign) => {
  const modules = await modulesOf(app);
  const provided = modules.flatMap(({ providers }) => [...providers.keys()].map(nameOf));
  for (const name of [Jobs.name, Broker.name, Database.name, ...needed])
    expect(provided.filter((other) => other === name)).toEqual([name]);
  expect(foreign.filter((name) => provided.includes(name))).toEqual([]);
});

test('only settings, log and jobs are everywhere; all else is imported by who needs it', async () => {
  const modules = await modulesOf(WorkerModule);
  const everywhere = modules.filter(({ isGlobal }) => isGlobal).map(({ name }) => name);
  expect(everywhere.sort()).toEqual(['JobsModule', 'SettingsModule', 'TelemetryModule']);
});

test("a module of a clone's own injects jobs, records and the broker wherever it is imported", async () => {
  const stock = { provide: 'stock', inject: [Jobs, Database, Broker], useFactory: () => undefined };
  @Module({ providers: [stock] })
  class StockModule {}
  @Module({ imports: [StockModule, ApiModule] })
  class OwnModule {}
  // Nest refuses what it cannot resolve.
  expect(await modulesOf(OwnModule)).toContainEqual(expect.objectContaining({ name: 'StockModule' }));
});
