import type { AnyContract, JobState } from '#define-job';
import { metrics, Tally } from '#telemetry';
import type { Outcome } from './outcome.js';

/** How an attempt ended, as the metric's label; `superseded`: another worker had taken the job over. */
const ENDINGS = [
  ...['succeeded', 'failed', 'snoozed', 'held', 'cancelled', 'released', 'crashed', 'superseded'],
] as const;
const FINALS = ['succeeded', 'dead', 'cancelled'] as const;

/** Counts the jobs of one contract. Labels are looked up once, so that counting costs next to nothing. */
class Meter {
  private readonly accepted;
  private readonly inFlight;
  private readonly rescues;
  private readonly seconds;
  private readonly attempts;
  private readonly finals;

  constructor(name: string) {
    this.accepted = new Tally(metrics.jobsEnqueued.labels(name));
    this.inFlight = new Tally(metrics.jobsInFlight.labels(name));
    this.rescues = new Tally(metrics.jobsRescued.labels(name));
    this.seconds = metrics.jobDuration.labels(name);
    this.attempts = tallies(ENDINGS, (outcome) => metrics.jobAttempts.labels(name, outcome));
    this.finals = tallies(FINALS, (outcome) => metrics.jobsCompleted.labels(name, outcome));
  }

  enqueued(count = 1): void {
    this.accepted.add(count);
  }

  /** @param waited seconds since it could have started. @param rescued the claim before crashed. */
  claimed(queue: string, waited: number, rescued: boolean): void {
    if (rescued) this.rescues.add();
    else waitOf(queue).observe(Math.max(0, waited));
  }

  /** An attempt starts now. @returns what {@link stopped} wants to know. */
  started(): number {
    this.inFlight.add();
    return performance.now();
  }

  /** The attempt does not run any more. @param startedAt what {@link started} gave. */
  stopped(startedAt: number): void {
    this.inFlight.add(-1);
    this.seconds.observe((performance.now() - startedAt) / 1_000);
  }

  /** A job that waits is dead. */
  died(): void {
    this.finals.get('dead')?.add();
  }

  /** @param state what the record says; null when the job was taken over meanwhile. */
  ended({ kind }: Outcome, state: JobState | null): void {
    this.attempts.get(state ? kind : 'superseded')?.add();
    this.finals.get(state ?? '')?.add();
  }
}

const waits = new Map<string, ReturnType<typeof metrics.jobQueueWait.labels>>();

function waitOf(queue: string) {
  const known = waits.get(queue);
  if (known) return known;
  const made = metrics.jobQueueWait.labels(queue);
  waits.set(queue, made);
  return made;
}

/** All exist from the first job on, so that a rate shows the first failure. */
const tallies = (outcomes: readonly string[], metricOf: (outcome: string) => { inc(by: number): void }) =>
  new Map(outcomes.map((outcome) => [outcome, new Tally(metricOf(outcome))]));

const meters = new Map<string, Meter>();

/** The meter of a contract. Jobs of unknown contracts share one, because their names come from outside. */
export function meterOf(contract: Pick<AnyContract, 'name'> | undefined): Meter {
  const name = contract?.name ?? 'other';
  const known = meters.get(name);
  if (known) return known;
  const made = new Meter(name);
  meters.set(name, made);
  return made;
}
