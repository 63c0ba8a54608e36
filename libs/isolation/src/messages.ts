import type { Duration } from '#config';
import type { JobContext } from '#jobs';
import type { PlainError } from './plain-error.js';

/**
 * What goes between the worker and a thread, by structured clone. A thread runs one job at a time and messages keep
 * their order, so none of them has to say which job it is about.
 */
export type ToThread =
  | { kind: 'run'; job: JobData }
  | { kind: 'abort'; reason: PlainError }
  /** Close the Nest context and end. */
  | { kind: 'close' };

export type FromThread =
  | { kind: 'progress'; fraction: number; note: string | undefined }
  /** A log line, of the job that runs or, as Nest's own lines, of none. */
  | { kind: 'log'; line: string; ofJob: boolean }
  | { kind: 'ended'; ending: Ending };

/** How a handler ended. */
export type Ending =
  | { how: 'returned'; result: unknown }
  | { how: 'snoozed'; delay: Duration | number }
  | { how: 'threw'; error: PlainError };

/** The part of a job's context that is data; the rest is made anew in the thread. */
export type JobData = Omit<JobContext, 'signal' | 'log' | 'progress'>;
