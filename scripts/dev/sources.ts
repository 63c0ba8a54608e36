import { Worker } from 'node:worker_threads';

/** What is told of the sources: files were written, such as `dist/apps/worker/main.js`; or something is wrong. */
export type Told = { files: string[] } | { errors: string; count: number };

/**
 * Compiles the sources now and after each change, in a thread: the checks keep it busy while the apps start.
 *
 * @returns what ends it.
 */
export function watchSources(listener: (told: Told) => void, onFailure: (error: Error) => void): () => void {
  const inColor = Boolean(process.stdout.isTTY && !process.env.NO_COLOR);
  const thread = new Worker(new URL('./compiler.js', import.meta.url), { workerData: inColor });
  thread.on('message', listener);
  thread.on('error', onFailure);
  return () => void thread.terminate();
}
