import type { AnyContract, JobState } from '#define-job';
import type { Taken, Throughput } from '#records';
import { type Log, type Step, traceIdOf } from '#telemetry';
import type { IncomingJob, JobDelivery } from '../decode.js';
import type { JobSecrets } from '../job-secrets.js';
import { meterOf } from './meter.js';
import { describeError, FALLBACK_DELAY, type Outcome } from './outcome.js';
import type { About } from './running-attempt.js';
import { endProcessing, processing } from './spans.js';

/** The span, the metrics and the log line of one attempt. */
export class ObservedAttempt {
  readonly about: About;
  private readonly step: Step;
  private readonly meter: ReturnType<typeof meterOf>;
  private startedAt: number | undefined;

  constructor(
    delivery: JobDelivery,
    private readonly job: IncomingJob,
    contract: AnyContract | undefined,
    { attempt, waited, rescued }: Taken,
  ) {
    this.step = processing(delivery, job, attempt);
    const traceId = this.traceparent && traceIdOf(this.traceparent);
    this.about = { job: job.id, name: job.name, attempt, traceId };
    this.meter = meterOf(contract);
    this.meter.claimed(job.queue, waited, rescued);
  }

  /** The context that what comes after the attempt belongs to. */
  get traceparent(): string | undefined {
    return this.step.traceparent;
  }

  /** Runs the attempt within its span, which {@link ended} ends. */
  run(attempt: () => Promise<Outcome>): Promise<Outcome> {
    return this.step.run(attempt);
  }

  ended(outcome: Outcome): void {
    endProcessing(this.step, outcome);
  }

  get hasStarted(): boolean {
    return this.startedAt !== undefined;
  }

  started(): void {
    this.startedAt = this.meter.started();
  }

  stopped(): void {
    if (this.startedAt !== undefined) this.meter.stopped(this.startedAt);
  }

  /** The function of its contract that chooses delays did not choose one. */
  hadNoDelay(problem: unknown, log: Log, secrets: JobSecrets): void {
    const { class: type, ...error } = describeError(problem, secrets);
    const said = `The function in retry of ${this.about.name} gave no delay: trying again in ${FALLBACK_DELAY}`;
    log.error({ ...this.about, err: { type, ...error } }, said);
  }

  /** @param state what the record says now; null when another worker had the job meanwhile. */
  settled(
    outcome: Outcome,
    state: JobState | null,
    log: Log,
    throughput: Throughput,
    secrets: JobSecrets,
  ): void {
    this.meter.ended(outcome, state);
    throughput.note(this.job.queue, state);
    const { about } = this;
    if (!state) log.warn(about, 'Another worker took the job over: outcome dropped');
    else if (outcome.kind === 'failed' || outcome.kind === 'crashed') {
      // As it is stored: cut, and without secrets.
      const { class: type, ...error } = describeError(outcome.error, secrets);
      log.warn({ ...about, err: { type, ...error }, state }, `Attempt ${outcome.kind}`);
    } else log.info({ ...about, state }, `Attempt ${outcome.kind}`);
  }
}
