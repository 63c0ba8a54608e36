import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JobErrorModule, readThrown, safeProgress, toError } from '#jobs';
import { forwardedLog, logWarnings, NestLogger } from '#telemetry';
import { IsolatedServer } from './isolated-server.js';
import { Leftovers } from './leftovers.js';
import { LogFlow } from './log-flow.js';
import type { FromThread, Owner, ToThread } from './messages.js';
import { throttleProgress } from './throttle-progress.js';
import { Usage } from './usage.js';

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
  const post = (message: FromThread) => port.postMessage(message);
  const log = logTo(post);

  logWarnings(log());
  const server = new IsolatedServer();
  const app = await NestFactory.createMicroservice(threadOf(module), {
    strategy: server,
    logger: new NestLogger(log()),
    abortOnError: false,
  });
  await app.listen();

  const jobs = new JobRunner(server, post);
  process.on('uncaughtException', (error) =>
    post({ kind: 'uncaught', owner: jobs.owner, error: readThrown(error) }),
  );
  port.on('message', async (message: ToThread) => {
    switch (message.kind) {
      case 'run':
        return jobs.run(message);
      case 'abort':
        return jobs.abort(toError(message.reason));
      case 'close':
        await app.close();
        process.exit();
    }
  });
  post({ kind: 'ready', contracts: server.contracts });
}

/** @returns the log of a job by its number, or of what belongs to none. */
function logTo(post: (message: FromThread) => void) {
  const { logLevel, logFlow } = workerData as { logLevel: string; logFlow: SharedArrayBuffer };
  const flow = new LogFlow(logFlow);
  return (run?: number) =>
    forwardedLog(logLevel, (line) => {
      post({ kind: 'log', run, line });
      flow.posted(line);
    });
}

/** Runs the jobs of this thread, one after the other. */
class JobRunner {
  private readonly owners = new AsyncLocalStorage<Owner>();
  private readonly leftovers = new Leftovers(this.owners);
  private attempt: AbortController | undefined;

  constructor(
    private readonly server: IsolatedServer,
    private readonly post: (message: FromThread) => void,
  ) {}

  get owner(): Owner | undefined {
    return this.owners.getStore();
  }

  abort(reason: Error): void {
    this.attempt?.abort(reason);
  }

  async run({ run, job, payload, maxBytes }: Extract<ToThread, { kind: 'run' }>): Promise<void> {
    const current = new AbortController();
    setMaxListeners(0, current.signal);
    this.attempt = current;
    const tools = { signal: current.signal, log: logTo(this.post)(run) };
    const progress = throttleProgress((fraction, note) => {
      if (this.attempt === current) this.post({ kind: 'progress', run, fraction, note });
    });
    const context = { ...job, ...tools, progress: safeProgress(tools, progress.note) };
    const owner: Owner = { run, job: job.id, name: job.name, attempt: job.attempt };
    const usage = new Usage();
    const ending = await this.owners
      .run(owner, () => this.server.run(context, payload, maxBytes))
      .then(
        (outcome) => ({ ...outcome, run, used: usage.end() }),
        (error) => ({ kind: 'threw' as const, error: readThrown(error), run, used: usage.end() }),
      );
    progress.flush();
    this.attempt = undefined;
    this.post(ending);
    this.post({ kind: 'free', leftovers: await this.leftovers.take() });
  }
}

/** What its handlers throw reaches the worker as it is, as in the worker's own. */
function threadOf(handlers: Type): Type {
  @Module({ imports: [handlers, JobErrorModule] })
  class ThreadModule {}
  return ThreadModule;
}
