import type { JobToEnqueue } from './given-options.js';

/** A job that has just become a dead letter, without its secrets, as it is shown. */
export interface DeadJob {
  readonly id: string;
  readonly name: string;
  /** As it was enqueued, which need not fit the contract; null where it could not be read. */
  readonly payload: unknown;
  /** What its last attempt died of. */
  readonly error: Readonly<{ class: string; message: string; code?: string; stack: string | null }>;
  /** How many attempts it had. */
  readonly attempts: number;
}

/**
 * Names the job that is enqueued when one is dead: `({ id, error }) => job(TellOperator, { id, error: error.message })`.
 * It must be synchronous, and may return undefined.
 */
export type OnDead = (dead: DeadJob) => JobToEnqueue | undefined;
