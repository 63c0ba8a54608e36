import { setTimeout as pause } from 'node:timers/promises';
import { TransientError } from './transient-error.js';

const RETRY_PAUSE_MS = 500;

/**
 * Runs a task until it succeeds, for what has to succeed before work can go on.
 *
 * @param signal gives up once aborted; the last error is thrown then.
 * @param onOutage told of the first {@link TransientError}, once.
 * @param pauseMs between two tries.
 * @returns what the task returned.
 * @throws any other error of the task, at once.
 */
export async function untilAvailable<T>(
  task: () => Promise<T>,
  signal: AbortSignal,
  onOutage?: (error: TransientError) => void,
  pauseMs = RETRY_PAUSE_MS,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await task();
    } catch (error) {
      if (signal.aborted || !(error instanceof TransientError)) throw error;
      if (tries === 1) onOutage?.(error);
    }
    await pause(pauseMs, undefined, { signal }).catch(() => {});
  }
}
