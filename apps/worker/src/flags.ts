import { parseArgs } from 'node:util';
import { type Duration, toMilliseconds } from '#config';
import type { OneShotLimits } from '#jobs';

/** Arguments that cannot be used. Its message says what is wrong and how it is meant. */
export class FlagsError extends Error {
  override readonly name = 'FlagsError';
  constructor(problem: string) {
    super(`${problem}\nUsage: node dist/apps/worker/main.js [--drain [--max-jobs N] [--max-time 5m]]`);
  }
}

/** Longer than this no timer of Node waits. */
const MAX_TIME_MS = 24 * 86_400_000;

/**
 * Reads the worker's arguments.
 *
 * @returns the limits of one that is to end when its queues are empty; undefined for one that works until it is stopped.
 * @throws FlagsError
 */
export function readFlags(args: readonly string[]): OneShotLimits | undefined {
  const flags = parse(args);
  const jobs = flags['max-jobs'];
  const time = flags['max-time'];
  if (!flags.drain) {
    if (jobs === undefined && time === undefined) return undefined;
    throw new FlagsError('--max-jobs and --max-time end a worker that was started with --drain');
  }
  if (jobs !== undefined && !/^[1-9]\d{0,8}$/.test(jobs))
    throw new FlagsError(`--max-jobs must be a whole number from 1, not "${jobs}"`);
  return {
    maxJobs: jobs === undefined ? undefined : Number(jobs),
    maxTimeMs: time === undefined ? undefined : readTime(time),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        drain: { type: 'boolean' },
        'max-jobs': { type: 'string' },
        'max-time': { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new FlagsError((error as Error).message);
  }
}

function readTime(text: string): number {
  try {
    const milliseconds = toMilliseconds(text as Duration);
    if (milliseconds >= 1 && milliseconds <= MAX_TIME_MS) return milliseconds;
  } catch (error) {
    throw new FlagsError(`--max-time: ${(error as Error).message}`);
  }
  throw new FlagsError(`--max-time must be 1ms to 24d, not ${text}`);
}
