import type { AnyContract } from '#define-job';
import type { IncomingJob } from '../decode.js';
import type { HandlerLimits } from '../handler.js';

/** A delivered job may start. */
export interface Permit {
  /**
   * Called right before the handler: between admission and start lies a claim, which may have taken long.
   *
   * @returns undefined when the job may start now.
   */
  confirm?(): Promise<Omit<Deferral, 'recorded'> | undefined>;
  /** Called when the job has ended, in whatever way, or has not started after all. */
  release?(): void;
}

/** The permit of a job without limits. */
export const UNLIMITED: Permit = {};
/** The permit of a job that could not start when it was admitted. If it can start now, it is put off and admitted again. */
export const UNASKED: Permit = { confirm: async () => ({ delayMs: 0, limitedBy: 'not admitted yet' }) };

/** A delivered job may not start yet. */
export interface Deferral {
  delayMs: number;
  /** The limit, for people who ask what the job waits for. */
  limitedBy: string;
  /** Called when the record has it that the job is put off. */
  recorded?(): Promise<void>;
}

/** Decides before the claim whether a delivered job may start; if not, it is put off and uses up no attempt. Optional. */
export abstract class Admission {
  /**
   * Takes what a handler wants, once, when the worker starts.
   *
   * @throws ContractError when it makes no sense.
   */
  abstract register(contract: AnyContract, limits: HandlerLimits): void;

  /** Whether jobs of this contract are to be asked for at all. */
  abstract limits(contract: string): boolean;

  /** @throws what a database that is away throws; the executor asks again then. */
  abstract admit(job: IncomingJob): Promise<Permit | Deferral>;
}
