import type { Schedule } from './schedule.js';
import type { Ticks } from './ticks.js';

/** Later than this a tick counts as missed. Workers look twice a second, and a deployment takes some seconds. */
const MISSED_AFTER_MS = 60_000;
/** Ticks decided on at once, the newest; after a longer outage the older ones are forgotten. */
const MAX_TICKS = 100;

/** What becomes of a tick: `enqueued` makes a job, the others say why there is none. */
export const tickOutcomes = ['enqueued', 'missed', 'overlapping'] as const;

export interface TickDecision {
  tick: Date;
  outcome: (typeof tickOutcomes)[number];
}

/** The ticks from the one that was planned until now, oldest first. Counted from the plan, not from now: none is lost. */
export function dueTicks(ticks: Ticks, planned: Date, now: Date): Date[] {
  // One is the rule, and a hundred cost some milliseconds.
  const due = ticks.newest(2, planned, now);
  return due.length < 2 ? due : ticks.newest(MAX_TICKS, planned, now);
}

/**
 * Decides on due ticks, oldest first. Those that are on time fire. Of those missed, `all` fires each, `once` the
 * newest unless a later tick is on time and makes up for them, `skip` none.
 *
 * @param busy whether the schedule's previous job has not ended.
 */
export function decideTicks(
  due: readonly Date[],
  now: Date,
  { missed, overlap }: Pick<Schedule, 'missed' | 'overlap'>,
  busy: boolean,
): TickDecision[] {
  let isBusy = busy;
  return due.map((tick) => {
    const isLate = now.getTime() - tick.getTime() > MISSED_AFTER_MS;
    const fires = !isLate || missed === 'all' || (missed === 'once' && tick === due.at(-1));
    if (!fires) return { tick, outcome: 'missed' };
    if (isBusy && overlap === 'skip') return { tick, outcome: 'overlapping' };
    isBusy = true;
    return { tick, outcome: 'enqueued' };
  });
}
