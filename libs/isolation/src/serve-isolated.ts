import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JobErrorModule, readThrown, safeProgress, toError } from '#jobs';
import { forwardedLog, logWarnings, NestLogger } from '#telemetry';
import { IsolatedServer } from './isolated-server.js';
import { Leftovers } from './leftovers.js';
import type { FromThread, Owner, ToThread } from './messages.js';
import { throttleProgress } from './throttle-progress.js';

/**
 * Makes a thread serve isolated handlers, in a Nest context of its own. Its entry needs no more than this:
 *
 * ```ts
 * await serveIsolated(IsolatedModule);
 * ```
 *
 * @param module lists the handlers among its controllers, and provides what they inject.
 */
export async function serveIsolated(module: Type): Promise<void> {
  if (!parentPort) throw new Error('serveIsolated is for a thread that IsolationModule has started');
  const port = parentPort;
  const { logLevel } = workerData as { logLevel: string };
  const post = (message: FromThread) => port.postMessage(message);
  const log = (run?: number) => forwardedLog(logLevel, (line) => post({ kind: 'log', run, line }));

  logWarnings(log());
  const server = new IsolatedServer();
  const app = await NestFactory.createMicroservice(threadOf(module), {
    strategy: server,
    logger: new NestLogger(log()),
    abortOnError: false,
  });
  await app.listen();

  const owners = new AsyncLocalStorage<Owner>();
  const leftovers = new Leftovers(owners);
  let attempt: AbortController | undefined;

  const run = async ({ run, job, payload, maxBytes }: Extract<ToThread, { kind: 'run' }>) => {
    const current = new AbortController();
    setMaxListeners(0, current.signal);
    attempt = current;
    const tools = { signal: current.signal, log: log(run) };
    const progress = throttleProgress((fraction, note) => {
      if (attempt === current) post({ kind: 'progress', run, fraction, note });
    });
    const context = { ...job, ...tools, progress: safeProgress(tools, progress.note) };
    const owner: Owner = { run, job: job.id, name: job.name, attempt: job.attempt };
    const ending = await owners
      .run(owner, () => server.run(context, payload, maxBytes))
      .then(
        (outcome) => ({ ...outcome, run }),
        (error) => ({ kind: 'threw' as const, error: readThrown(error), run }),
      );
    progress.flush();
    attempt = undefined;
    post(ending);
    post({ kind: 'free', leftovers: await leftovers.take() });
  };

  process.on('uncaughtException', (error) =>
    post({ kind: 'uncaught', owner: owners.getStore(), error: readThrown(error) }),
  );
  port.on('message', async (message: ToThread) => {
    switch (message.kind) {
      case 'run':
        return run(message);
      case 'abort':
        return attempt?.abort(toError(message.reason));
      case 'close':
        await app.close();
        process.exit();
    }
  });
  post({ kind: 'ready', contracts: server.contracts });
}

/** What its handlers throw reaches the worker as it is, as in the worker's own. */
function threadOf(handlers: Type): Type {
  @Module({ imports: [handlers, JobErrorModule] })
  class ThreadModule {}
  return ThreadModule;
}
