import type { JobView, WaitingFor } from '#resources';
import type { Known } from './job-record.js';
import { type Queryable, rowsOf } from './records-database.js';
import { LOCKED_WORKERS } from './statements.js';

/** What says of a queue how long its jobs may wait. */
export interface QueueFacts {
  now: Date;
  paused: readonly string[];
  /** Which queues the workers serve that hold their session lock at this moment, and what they know. */
  workers: readonly { queues: readonly string[]; contracts: Known | null }[];
  /** The queues of the broker that a migration has declared, and nobody has deleted. */
  declared: readonly string[];
}

/** What the record says of why a job waits. */
export type Waiting = Pick<
  JobView,
  'name' | 'version' | 'state' | 'queue' | 'runAt' | 'attempt' | 'maxAttempts'
> & { limitedBy?: string | null; heldFor?: Known | null };

/** Whether a job in this state waits for something. */
export const isWaiting = ({ state }: Pick<JobView, 'state'>): boolean =>
  state === 'scheduled' || state === 'queued' || state === 'retrying';

export async function queueFacts(database: Queryable): Promise<QueueFacts> {
  const [facts] = await rowsOf<QueueFacts>(database, {
    name: 'queue-facts',
    text: `
    select now() as now, array(select queue from paused_queues) as paused,
      array(
        select distinct jsonb_build_object('queues', queues, 'contracts', contracts)
        from workers where id = any (array(${LOCKED_WORKERS}))) as workers,
      array(select name from declared_queues) as declared`,
  });
  return facts as QueueFacts;
}

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
  if (isLater && limitedBy) return { what: 'limit', detail: `${limitedBy}; tried again at ${at}` };
  if (isLater && state === 'retrying')
    return { what: 'retry', detail: `attempt ${attempt + 1} of ${maxAttempts} at ${at}` };
  if (isLater) return { what: 'time', detail: at };
  if (facts?.paused.includes(queue)) return { what: 'pause', detail: `queue "${queue}" is paused` };
  return { what: 'worker', detail: facts ? workerFor(job, facts) : `a free worker of queue "${queue}"` };
}

/** Which worker a job waits for that could run. */
function workerFor({ name, version, queue, heldFor }: Waiting, { workers }: QueueFacts): string {
  const serving = workers.filter(({ queues }) => queues.includes(queue));
  if (serving.length === 0) return `no worker that is alive serves queue "${queue}"`;
  // A worker of earlier code says nothing of what it knows.
  const knows = ({ contracts }: (typeof serving)[number]) =>
    contracts
      ? (contracts[name] ?? 0) >= version &&
        (!heldFor || Object.entries(heldFor).every(([name, version]) => (contracts[name] ?? 0) >= version))
      : !heldFor;
  return serving.some(knows)
    ? `a free worker of queue "${queue}"`
    : `a worker that knows ${named({ [name]: version, ...heldFor })}`;
}

/** Versions of contracts, for people. */
export const named = (known: Known): string =>
  Object.entries(known)
    .map(([name, version]) => `${name} version ${version}`)
    .join(' and ');
