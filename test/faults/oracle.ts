import { setTimeout as pause } from 'node:timers/promises';
import type { LedgerEntry } from './ledger.js';
import type { Load } from './load.js';
import type { Scene } from './scene.js';

const POLL_MS = 250;
const FINAL = ['succeeded', 'dead', 'cancelled', 'discarded'];

/** A job as its record shows it. */
export interface JobRecord {
  id: string;
  name: string;
  state: string;
  attempt: number;
  attempts: { attempt: number; outcome: string; error: { class: string } | null }[];
  payload: { n: number };
  createdAt: number;
  runAt: number;
  startedAt: number | null;
  finishedAt: number | null;
}

/** What became of the jobs of a fault. The counts are those that Jepsen reports of a queue. */
export interface Findings {
  attempted: number;
  accepted: number;
  /** Accepted, and not done: no final record, or one that says `succeeded` of a job whose handler never finished. */
  lost: string[];
  /** Ran more often than its record has reasons for: the first run, and one more for each lost or released one. */
  doubled: string[];
  /** Ended otherwise than its handler makes it end, such as in the dead letters for a fault that was not its own. */
  astray: string[];
  /** Accepted jobs that were not done when the fault was over and are now. */
  recovered: number;
  /** From the end of the fault, or of the load if that went on for longer, to the end of the last job. */
  secondsToRecover: number;
  /** Without a 202, and recorded all the same: the answer was lost, or it was another one. */
  unexpected: number;
}

/** Reads all records. */
export async function readRecords({ environment }: Scene): Promise<JobRecord[]> {
  const milliseconds = (column: string) => `extract(epoch from ${column})::float8 * 1000`;
  return environment.sql<JobRecord>(`
    select id, name, state, attempt, attempts, payload,
      ${milliseconds('created_at')} as "createdAt", ${milliseconds('run_at')} as "runAt",
      ${milliseconds('started_at')} as "startedAt", ${milliseconds('finished_at')} as "finishedAt"
    from jobs`);
}

/**
 * Waits until every recorded job has ended and the queues are empty, so that what is delivered twice has shown itself.
 *
 * @returns whether it came to that within the limit.
 */
export async function hasSettled(scene: Scene, withinMs: number): Promise<boolean> {
  const { environment } = scene;
  const deadline = Date.now() + withinMs;
  for (;;) {
    const settled = await Promise.all([
      environment.sql<{ n: number }>('select count(*)::int n from jobs where state <> all ($1)', [FINAL]),
      environment.countReady('ledger'),
      environment.countReady('slow'),
    ]).then(
      ([[unfinished], ...ready]) => unfinished?.n === 0 && ready.every((count) => count === 0),
      () => false,
    );
    if (settled) return true;
    if (Date.now() > deadline) return false;
    await pause(POLL_MS);
  }
}

/**
 * Holds the ledger and the records against what the client was promised.
 *
 * @param overAt when the fault and the load were over, in milliseconds.
 * @param kills how many workers the fault itself killed.
 */
export function judge(
  loads: readonly Load[],
  records: readonly JobRecord[],
  ledger: readonly LedgerEntry[],
  overAt: number,
  kills: number,
): Findings {
  const byId = new Map(records.map((record) => [record.id, record]));
  const accepted = new Set(loads.flatMap((load) => [...load.accepted.keys()]));
  const finished = new Set(ledger.filter(({ event }) => event === 'finished').map(({ job }) => job));

  const lost = [...accepted].filter((id) => {
    const record = byId.get(id);
    return !record || !FINAL.includes(record.state) || (record.state === 'succeeded' && !finished.has(id));
  });
  const ends = records
    .filter(({ id, finishedAt }) => accepted.has(id) && finishedAt !== null && finishedAt > overAt)
    .map(({ finishedAt }) => finishedAt as number);
  return {
    attempted: loads.reduce((sum, load) => sum + load.attempted, 0),
    accepted: accepted.size,
    lost,
    doubled: findDoubled(byId, ledger),
    astray: records
      .filter(({ name, state }) => FINAL.includes(state) && state !== endOf(name))
      .filter((record) => !(kills >= LOSSES_TO_DIE && wasLostTooOften(record)))
      .map(({ id }) => id),
    recovered: ends.length,
    secondsToRecover: ends.length > 0 ? (Math.max(...ends) - overAt) / 1_000 : 0,
    unexpected: records.filter(({ id }) => !accepted.has(id)).length,
  };
}

/** P7: a job whose worker ended so often is a dead letter. Kills at random can hit the same job each time. */
const LOSSES_TO_DIE = 3;
const wasLostTooOften = ({ state, attempts }: JobRecord) =>
  state === 'dead' && attempts.filter(({ outcome }) => outcome === 'crashed').length === LOSSES_TO_DIE;

const endOf = (name: string) => (name === 'ledger.crash' ? 'dead' : 'succeeded');

function findDoubled(records: ReadonlyMap<string, JobRecord>, ledger: readonly LedgerEntry[]): string[] {
  const runs = new Map<string, { job: string; attempt: number; started: number; released: number }>();
  for (const { job, attempt, event } of ledger) {
    const key = `${job}/${attempt}`;
    const run = runs.get(key) ?? { job, attempt, started: 0, released: 0 };
    runs.set(key, run);
    if (event === 'started') run.started++;
    if (event === 'released') run.released++;
  }
  return [...runs.values()]
    .filter(({ job, attempt, started, released }) => {
      const attempts = records.get(job)?.attempts ?? [];
      const crashes = attempts.filter((one) => one.attempt === attempt && one.outcome === 'crashed').length;
      return started > 1 + crashes + released;
    })
    .map(({ job, attempt, started }) => `${job} (attempt ${attempt}: ${started} runs)`);
}
