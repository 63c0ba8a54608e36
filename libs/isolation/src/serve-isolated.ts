import { setMaxListeners } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type JobContext, NonRetryableError, Snooze } from '#jobs';
import { forwardedLog, logWarnings, NestLogger } from '#telemetry';
import { IsolatedServer } from './isolated-server.js';
import type { Ending, FromThread, JobData, ToThread } from './messages.js';
import { fromPlainError, toPlainError } from './plain-error.js';
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
  const log = (ofJob: () => boolean) =>
    forwardedLog(logLevel, (line) => post({ kind: 'log', line, ofJob: ofJob() }));

  logWarnings(log(() => false));
  const server = new IsolatedServer();
  const app = await NestFactory.createMicroservice(module, {
    strategy: server,
    logger: new NestLogger(log(() => false)),
    abortOnError: false,
  });
  await app.listen();

  let attempt: AbortController | undefined;
  const run = async (data: JobData) => {
    const current = new AbortController();
    setMaxListeners(0, current.signal);
    attempt = current;
    const isRunning = () => attempt === current;
    const progress = throttleProgress((fraction, note) => {
      if (isRunning()) post({ kind: 'progress', fraction, note });
    });
    const ending = await end(server, {
      ...data,
      signal: current.signal,
      log: log(isRunning),
      progress: progress.note,
    });
    progress.flush();
    attempt = undefined;
    try {
      post({ kind: 'ended', ending });
    } catch (error) {
      const problem = new NonRetryableError(
        `The result of ${data.name} cannot leave its thread: ${(error as Error).message} ` +
          'The handler must return plain data, without functions',
        { cause: error },
      );
      post({ kind: 'ended', ending: { how: 'threw', error: toPlainError(problem) } });
    }
  };

  port.on('message', async (message: ToThread) => {
    switch (message.kind) {
      case 'run':
        return run(message.job);
      case 'abort':
        return attempt?.abort(fromPlainError(message.reason));
      case 'close':
        await app.close();
        process.exit();
    }
  });
}

/** Runs a handler. Never throws. */
async function end(server: IsolatedServer, job: JobContext): Promise<Ending> {
  try {
    const result = await server.run(job);
    return result instanceof Snooze ? { how: 'snoozed', delay: result.delay } : { how: 'returned', result };
  } catch (error) {
    return { how: 'threw', error: toPlainError(error) };
  }
}
