import { AsyncLocalStorage } from 'node:async_hooks';
import type { StrayError } from '#telemetry';
import { describeError } from './outcome.js';
import type { RunningAttempt } from './running-attempt.js';

/**
 * The attempts whose handlers run in this process. Each handler runs in an async context of its own, which its timers,
 * streams and promises inherit: so it can be told whose an error is that nobody caught.
 */
export class RunningAttempts {
  private readonly attempts = new Map<string, RunningAttempt>();
  private readonly context = new AsyncLocalStorage<RunningAttempt>();
  private isEnding = false;

  /** Runs the handler of an attempt, and waits for it. */
  run<T>(attempt: RunningAttempt, handle: () => Promise<T>): Promise<T> {
    this.attempts.set(keyOf(attempt), attempt);
    return attempt.outcomeOf(this.context.run(attempt, handle));
  }

  /** The attempt's handler runs no more, or is not waited for any longer. */
  ended(attempt: RunningAttempt): void {
    attempt.clear();
    this.attempts.delete(keyOf(attempt));
  }

  /** Aborts the signal of an attempt because its job was cancelled. */
  cancel(job: string, claim: number): void {
    this.attempts.get(`${job}/${claim}`)?.cancel();
  }

  release(): void {
    for (const attempt of this.attempts.values()) attempt.release();
  }

  /** How many of them end this process. */
  get culprits(): number {
    return [...this.attempts.values()].filter(({ isCulprit }) => isCulprit).length;
  }

  /**
   * Takes notice of an error that nobody caught and that ends this process. The attempt that it came from is lost by it,
   * the others are not. Where no attempt is known, each may have been the cause, and those that do not end in time are
   * lost. Nobody is to blame for an error of an attempt that has ended.
   *
   * @returns what the log says of it.
   */
  blame(error: unknown): StrayError {
    const culprit = this.context.getStore();
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

  /**
   * Keeps handlers from ending this process with no regard to the jobs beside them: to call `process.exit`, or to send
   * this process a signal, is an error that ends it in good order.
   */
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
