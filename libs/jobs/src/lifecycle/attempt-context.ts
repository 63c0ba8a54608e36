import type { Previous, Taken, Used } from '#records';
import { currentTraceparent, type Log, scrubbedLog, traceHeadersOf } from '#telemetry';
import type { IncomingJob } from '../decode.js';
import type { JobContext } from '../handler.js';
import type { JobLogs } from '../job-logs.js';
import { type Progress, safeProgress } from '../progress.js';
import type { RunningAttempt } from './running-attempt.js';

const NONE: readonly string[] = [];
const UNTRACED: Partial<ReturnType<typeof traceHeadersOf>> = {};

export interface Listeners {
  log: Log;
  logs: JobLogs;
  progress: Progress;
}

/** One attempt as its handler sees it. A class, because an object with getters of its own is slow to make. */
export class AttemptContext implements JobContext {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly createdAt: Date;
  readonly payload: unknown;
  readonly tags: readonly string[];
  readonly previous: Previous | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly #running: RunningAttempt;
  readonly #listeners: Listeners;
  #log: Log | undefined;
  #noteProgress: JobContext['progress'] | undefined;

  /** @param given as the contract has it: the name, the payload as its schema made it, an upgraded result. */
  constructor(
    { id, queue }: IncomingJob,
    { attempt, maxAttempts, createdMs, tags }: Taken,
    { name, payload, previous }: { name: string; payload: unknown; previous: Previous | undefined },
    running: RunningAttempt,
    listeners: Listeners,
  ) {
    this.id = id;
    this.name = name;
    this.queue = queue;
    this.attempt = attempt;
    this.maxAttempts = maxAttempts;
    this.createdAt = new Date(createdMs);
    this.payload = payload;
    this.tags = tags ?? NONE;
    this.previous = previous;
    const trace = currentTraceparent();
    ({ traceparent: this.traceparent, tracestate: this.tracestate } = trace
      ? traceHeadersOf(trace)
      : UNTRACED);
    this.#running = running;
    this.#listeners = listeners;
  }

  /** For who runs it elsewhere. */
  hasUsed(used: Used): void {
    this.#running.used = used;
  }

  get signal(): AbortSignal {
    return this.#running.signal;
  }

  get log(): Log {
    const { about, claim, secrets } = this.#running;
    const { log, logs } = this.#listeners;
    this.#log ??= scrubbedLog(
      log.child(about),
      (text) => secrets.scrub(text),
      logs.keeperOf({ ...about, claim }),
    );
    return this.#log;
  }

  /** Handlers take it out of the context before they call it. */
  get progress(): JobContext['progress'] {
    this.#noteProgress ??= safeProgress(this, (fraction, note) => {
      const { claim, secrets } = this.#running;
      this.#listeners.progress.note(this.id, claim, fraction, note && secrets.scrub(note));
    });
    return this.#noteProgress;
  }
}
