import type { JobState } from '#records';
import { metrics } from '#telemetry';
import type { AnyContract } from './contract.js';
import type { Outcome } from './outcome.js';

/** How an attempt ended, as its metric names it; `superseded`: another worker had the job meanwhile. */
const ENDINGS = ['succeeded', 'failed', 'snoozed', 'cancelled', 'givenBack', 'superseded'] as const;
/** The states in which a job has ended. */
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
    this.accepted = metrics.jobsEnqueued.labels(name);
    this.inFlight = metrics.jobsInFlight.labels(name);
    this.rescues = metrics.jobsRescued.labels(name);
    this.rescues.inc(0);
    this.seconds = metrics.jobDuration.labels(name);
    this.attempts = counters(ENDINGS, (outcome) => metrics.jobAttempts.labels(name, outcome));
    this.finals = counters(FINALS, (outcome) => metrics.jobsCompleted.labels(name, outcome));
  }

  enqueued(count = 1): void {
    this.accepted.inc(count);
  }

  /** @param waited seconds since it could have started. @param rescued its worker was lost, and this one runs it again. */
  claimed(queue: string, waited: number, rescued: boolean): void {
    if (rescued) this.rescues.inc();
    else waitOf(queue).observe(Math.max(0, waited));
  }

  /** An attempt starts now. @returns what {@link stopped} wants to know. */
  started(): number {
    this.inFlight.inc();
    return performance.now();
  }

  /** The attempt does not run any more. @param startedAt what {@link started} gave. */
  stopped(startedAt: number): void {
    this.inFlight.dec();
    this.seconds.observe((performance.now() - startedAt) / 1_000);
  }

  /** @param state what the record says; null when the job was taken over meanwhile. */
  ended({ kind }: Outcome, state: JobState | null): void {
    this.attempts.get(state ? kind : 'superseded')?.inc();
    this.finals.get(state ?? '')?.inc();
  }
}

const waits = new Map<string, ReturnType<typeof metrics.jobQueueWait.labels>>();

function waitOf(queue: string) {
  const known = waits.get(queue) ?? metrics.jobQueueWait.labels(queue);
  waits.set(queue, known);
  return known;
}

/** Each counter exists from the first job on, with 0, so that the first failure is seen to be one more than none. */
function counters<Counter extends { inc(by?: number): void }>(
  outcomes: readonly string[],
  make: (outcome: string) => Counter,
): ReadonlyMap<string, Counter> {
  const made = new Map(outcomes.map((outcome) => [outcome, make(outcome)]));
  for (const counter of made.values()) counter.inc(0);
  return made;
}

const meters = new Map<string, Meter>();

/** The meter of a contract. All that no contract is known for are counted together, whatever names messages bear. */
export function meterOf(contract: Pick<AnyContract, 'name'> | undefined): Meter {
  const name = contract?.name ?? 'other';
  const known = meters.get(name) ?? new Meter(name);
  meters.set(name, known);
  return known;
}
