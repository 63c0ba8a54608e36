import { AsyncLocalStorage } from 'node:async_hooks';
import type { StrayError } from '#telemetry';
import { describeError } from './outcome.js';
import type { RunningAttempt } from './running-attempt.js';

/** The context of a call that is of many attempts. */
const MANY = Symbol('many attempts');

/** The attempts that run here, each in an async context of its own, which shows where an uncaught error came from. */
export class RunningAttempts {
  private readonly attempts = new Map<string, RunningAttempt>();
  private readonly context = new AsyncLocalStorage<RunningAttempt | typeof MANY>();
  private isEnding = false;

  run<T>(attempt: RunningAttempt, handle: () => Promise<T>): Promise<T> {
    this.attempts.set(keyOf(attempt), attempt);
    return attempt.outcomeOf(this.context.run(attempt, handle));
  }

  /** Runs a call that is of many attempts: an uncaught error of it may be of any of those that run. */
  runMany<T>(call: () => T): T {
    return this.context.run(MANY, call);
  }

  /** The attempt's handler runs no more, or is not waited for any longer. */
  ended(attempt: RunningAttempt): void {
    attempt.clear();
    this.attempts.delete(keyOf(attempt));
  }

  cancel(job: string, claim: number): void {
    this.attempts.get(`${job}/${claim}`)?.cancel();
  }

  release(): void {
    for (const attempt of this.attempts.values()) attempt.release();
  }

  get culprits(): number {
    return [...this.attempts.values()].filter(({ isCulprit }) => isCulprit).length;
  }

  /**
   * Attributes an uncaught error, which ends this process. The attempt that it came from has crashed. If that is not
   * known, all that do not end in time have. An error of an ended attempt is attributed to none.
   *
   * @returns the fields of the log line.
   */
  blame(error: unknown): StrayError {
    const owner = this.context.getStore();
    const culprit = owner === MANY ? undefined : owner;
    const isFirst = !this.isEnding;
    this.isEnding = true;
    const involved = culprit ? [culprit] : [...this.attempts.values()];
    const scrub = (text: string) => involved.reduce((rest, { secrets }) => secrets.scrub(rest), text);
    const { class: type, ...described } = describeError(error, { scrub });
    const err = { type, ...described };
    if (culprit) {
      culprit.blame(error);
      const isRunning = this.attempts.get(keyOf(culprit)) === culprit;
      return {
        fields: { ...culprit.about, err },
        whose: isRunning ? 'this job' : 'this job, which has ended',
      };
    }
    const suspicion = new Error(`The worker ended by an uncaught error of an unknown job: ${err.message}`);
    suspicion.stack = err.stack ?? undefined;
    if (isFirst) for (const attempt of involved) attempt.noteUncaught(suspicion);
    return { fields: { err }, whose: 'an unknown job' };
  }

  /** Turns a handler's `process.exit`, and its signal to this process, into an error that ends the process in good order. */
  guardProcess(end: (error: unknown, how: string) => void): void {
    const guard =
      <A extends unknown[], R>(
        how: 'exit' | 'kill',
        call: (...args: A) => R,
        isEnd: (...args: A) => boolean,
      ) =>
      (...args: A): R => {
        if (!this.context.getStore() || !isEnd(...args)) return call.apply(process, args);
        const error = new Error(
          `The handler called process.${how}(${args.join(', ')}), which ends its worker: throw an error instead`,
        );
        end(error, `process.${how}`);
        throw error;
      };
    process.exit = guard('exit', process.exit, () => true) as typeof process.exit;
    process.kill = guard('kill', process.kill, (pid, signal) => pid === process.pid && signal !== 0);
  }
}

const keyOf = ({ about, claim }: RunningAttempt) => `${about.job}/${claim}`;
