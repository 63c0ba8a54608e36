import type { Claim, Previous } from '#records';
import { currentTraceparent, type Log, scrubbedLog } from '#telemetry';
import type { JobContext } from '../handler.js';
import type { IncomingJob } from '../message.js';
import { type Progress, safeProgress } from '../progress.js';
import type { RunningAttempt } from './running-attempt.js';

/** What an attempt has to do with beside its job. */
export interface AttemptTools {
  attempt: RunningAttempt;
  log: Log;
  progress: Progress;
}

/**
 * One attempt as its handler sees it. What many handlers do not ask for is made for those that do; as a class, because an
 * object with getters of its own is slow to make.
 */
export class AttemptContext implements JobContext {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly createdAt: Date;
  readonly previous: Previous | undefined;
  readonly traceparent = currentTraceparent();
  readonly #claim: number;
  readonly #tools: AttemptTools;
  #log: Log | undefined;
  #noteProgress: JobContext['progress'] | undefined;

  /** @param payload as the contract's schema made it. */
  constructor(
    { id, name, queue }: IncomingJob,
    { claim, attempt, maxAttempts, createdMs, previous }: Extract<Claim, { taken: true }>,
    readonly payload: unknown,
    tools: AttemptTools,
  ) {
    this.id = id;
    this.name = name;
    this.queue = queue;
    this.attempt = attempt;
    this.maxAttempts = maxAttempts;
    this.createdAt = new Date(createdMs);
    this.previous = previous ?? undefined;
    this.#claim = claim;
    this.#tools = tools;
  }

  get signal(): AbortSignal {
    return this.#tools.attempt.signal;
  }

  get log(): Log {
    const { log, attempt } = this.#tools;
    const { about, secrets } = attempt;
    this.#log ??= scrubbedLog(log.child(about), (text) => secrets.scrub(text));
    return this.#log;
  }

  /** Handlers take it out of the context before they call it. */
  get progress(): JobContext['progress'] {
    this.#noteProgress ??= safeProgress(this, (fraction, note) => {
      const { progress, attempt } = this.#tools;
      progress.note(this.id, this.#claim, fraction, note && attempt.secrets.scrub(note));
    });
    return this.#noteProgress;
  }
}
