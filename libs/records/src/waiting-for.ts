import type { JobView, WaitingFor } from '#resources';
import type { Statement } from './records-database.js';
import { LOCKED_WORKERS } from './statements.js';

/** What says of a queue how long its jobs may wait. */
export interface QueueFacts {
  now: Date;
  paused: readonly string[];
  /** The queues that workers serve that hold their session lock at this moment. */
  served: readonly string[];
  /** The queues of the broker that a migration has declared, and nobody has deleted. */
  declared: readonly string[];
}

/** What the record says of why a job waits. */
export type Waiting = Pick<JobView, 'state' | 'queue' | 'runAt' | 'attempt' | 'maxAttempts'> & {
  limitedBy: string | null;
};

/** Whether a job in this state waits for something. */
export const isWaiting = ({ state }: Pick<JobView, 'state'>): boolean =>
  state === 'scheduled' || state === 'queued' || state === 'retrying';

export const QUEUE_FACTS: Statement = {
  name: 'queue-facts',
  text: `
    select now() as now, array(select queue from paused_queues) as paused,
      array(select distinct unnest(queues) from workers where id = any (array(${LOCKED_WORKERS}))) as served,
      array(select name from declared_queues) as declared`,
  values: [],
};

/**
 * What a job waits for.
 *
 * @param facts undefined when they were not asked for.
 * @returns null when it does not wait: it runs, or has ended.
 */
export function waitingFor(job: Waiting, facts?: QueueFacts): WaitingFor | null {
  if (!isWaiting(job)) return null;
  const { state, queue, runAt, attempt, maxAttempts, limitedBy } = job;
  const isLater = state !== 'queued' && runAt > (facts?.now ?? new Date());
  const at = runAt.toISOString();
  if (isLater && limitedBy !== null) return { what: 'limit', detail: `${limitedBy}; tried again at ${at}` };
  if (isLater && state === 'retrying')
    return { what: 'retry', detail: `attempt ${attempt + 1} of ${maxAttempts} at ${at}` };
  if (isLater) return { what: 'time', detail: at };
  if (facts?.paused.includes(queue)) return { what: 'pause', detail: `queue "${queue}" is paused` };
  if (facts && !facts.served.includes(queue))
    return { what: 'worker', detail: `no worker that is alive serves queue "${queue}"` };
  return { what: 'worker', detail: `a free worker of queue "${queue}"` };
}
