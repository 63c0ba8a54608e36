import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Guard } from './services/guard.js';

const READY_LIMIT_MS = 30_000;
const POLL_MS = 100;

export type AppName = 'api' | 'worker';

/** An app ended that was not told to, or does not get ready. What it printed says why. */
export class AppError extends Error {
  override readonly name = 'AppError';

  constructor(
    readonly app: AppName,
    what: string,
  ) {
    super(`The ${app} ${what}`);
  }
}

/** How an app is started. */
export interface AppOptions {
  port: number;
  env: NodeJS.ProcessEnv;
  /** An open file that takes what the app prints. */
  output: number;
  cwd?: string;
  /** What Node is given before the app, such as `--inspect`. */
  nodeOptions?: string[];
}

/** The api and the worker as processes of their own, as they are deployed. None of them outlives this process. */
export class Apps {
  readonly #guard = new Guard(':');
  readonly #running = new Map<ChildProcess, Promise<unknown>>();
  #stopping = false;

  /** @param onFailure told when an app ends that was not stopped. */
  constructor(private readonly onFailure: (error: Error) => void) {}

  /**
   * Starts an app.
   *
   * @returns its address, once it answers on /health/ready.
   * @throws AppError when it does not get ready; the signal's reason when that is aborted meanwhile.
   */
  async start(app: AppName, options: AppOptions, signal: AbortSignal): Promise<string> {
    const { port, env, output, cwd, nodeOptions = [] } = options;
    const main = join(import.meta.dirname, '..', 'apps', app, 'main.js');
    const child = this.#guard.spawn(process.execPath, [...nodeOptions, main], {
      signal: 'SIGTERM',
      cwd,
      env: { ...env, [app === 'api' ? 'PORT' : 'WORKER_PORT']: String(port) },
      output,
    });
    const ended = once(child, 'exit').then(([code, endedBy]) => {
      this.#running.delete(child);
      if (!this.#stopping) this.onFailure(new AppError(app, `ended with ${endedBy ?? code}`));
    }, this.onFailure);
    this.#running.set(child, ended);

    const url = `http://127.0.0.1:${port}`;
    await isReady(app, `${url}/health/ready`, signal);
    return url;
  }

  /** Tells the apps to end and waits until they have, for as long as `limitMs`; then kills them. */
  async stop(limitMs: number): Promise<void> {
    this.#stopping = true;
    const ended = Promise.all(this.#running.values());
    for (const child of this.#running.keys()) child.kill('SIGTERM');
    await Promise.race([ended, pause(limitMs, undefined, { ref: false })]);
    for (const child of this.#running.keys()) child.kill('SIGKILL');
    await this.#guard.end();
  }
}

/** Where an api that is ready shows its dashboard; undefined when it has none. */
export async function dashboardOf(apiUrl: string): Promise<string | undefined> {
  const address = `${apiUrl}/dashboard`;
  const { status } = await fetch(address, { redirect: 'manual' });
  return status === 404 ? undefined : address;
}

async function isReady(app: AppName, url: string, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + READY_LIMIT_MS;
  for (let last = 'no answer'; ; ) {
    signal.throwIfAborted();
    try {
      const response = await fetch(url, { signal });
      last = await response.text();
      if (response.ok) return;
    } catch {
      signal.throwIfAborted();
    }
    if (Date.now() > deadline) {
      throw new AppError(app, `is not ready after ${READY_LIMIT_MS / 1_000} s: ${last}`);
    }
    await pause(POLL_MS);
  }
}
