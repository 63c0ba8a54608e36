import type { AttemptContext } from './lifecycle/attempt-context.js';
import type { Returned } from './lifecycle/returned.js';

/** A thread that stands ready for one job. */
export interface Seat {
  /**
   * Runs the handler of a job there: from the payload's JSON to the result's, with the contract's schemas.
   *
   * @param maxBytes longest result allowed. @throws what the handler throws.
   */
  run(job: AttemptContext, payload: string, maxBytes: number): Promise<Returned>;
  /** Lets another job have it. */
  leave(): void;
}

/** Runs handlers with `isolated: true` off the worker's own thread; `IsolationModule` provides it. */
export abstract class Isolation {
  abstract readonly threads: number;

  /**
   * Starts a first thread, to see that the handlers can run.
   *
   * @param contracts the names of those with isolated handlers. @throws ContractError that says why they cannot.
   */
  abstract start(contracts: readonly string[]): Promise<void>;

  /** Waits for a thread; anyone who waits has not started. @throws when the worker stops meanwhile. */
  abstract seat(): Promise<Seat>;

  /** The worker stops: nobody gets a thread any more. */
  abstract stop(): void;
}
