import type { JobState } from '#define-job';
import { saidBy } from './error-form.js';
import type { StoredAttempt } from './job-queries.js';

export interface Change {
  /** Names the change, the same whenever it is read: `2.running`. See {@link isAfter}. */
  id: string;
  state: JobState;
  attempt: number;
  /** When it happened; null when the record does not keep it. */
  at: Date | string | null;
  error?: string;
}

export interface HistoryRow {
  state: JobState;
  attempt: number;
  claim: number;
  attempts: readonly StoredAttempt[];
  created_at: Date;
  run_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
}

/** The order in which the states of one claim come: it runs, ends, and what comes then needs no worker. */
const ORDER: Record<JobState | 'progress', number> = {
  running: 0,
  progress: 1,
  scheduled: 2,
  retrying: 2,
  dead: 3,
  queued: 4,
  succeeded: 5,
  cancelled: 5,
  discarded: 5,
};

/** A time as all others are given, where PostgreSQL's JSON has microseconds and the zone of the session. */
export const timeOf = (time: string | null): string | null => time && new Date(time).toISOString();

/**
 * The changes of state in a record, oldest first, each named by its claim and state; the last is the present one. Anyone who
 * reads it now and then misses none, but for attempts that do not count (snoozed, released).
 */
export function historyOf(row: HistoryRow): Change[] {
  const changes: Change[] = [];
  const add = (claim: number, state: JobState, attempt: number, at: Change['at'], error?: string | null) => {
    const id = `${claim}.${state}`;
    if (changes.at(-1)?.id === id) return;
    changes.push({
      id,
      state,
      attempt,
      at: typeof at === 'string' ? timeOf(at) : at,
      ...(error && { error }),
    });
  };

  const isDelayed = row.claim === 0 && row.run_at > row.created_at;
  add(0, isDelayed ? 'scheduled' : 'queued', 0, row.created_at);
  let newest = 0;
  for (const [index, { attempt, claim, outcome, startedAt, finishedAt, error }] of row.attempts.entries()) {
    // The broker may give up on a job that nobody claimed.
    if (claim === undefined) {
      add(newest, 'dead', attempt, finishedAt, error && saidBy(error));
      continue;
    }
    newest = claim;
    add(claim, 'running', attempt, startedAt);
    if (outcome === 'cancelled') add(claim, 'cancelled', attempt, finishedAt);
    if (outcome !== 'failed') continue;
    // A replay counts attempts from zero: where they do not go on, the attempt was the last of its life.
    const isNewest = index === row.attempts.length - 1;
    const following = isNewest ? nextAttempt(row) : (row.attempts[index + 1]?.attempt ?? 0);
    const wasLast = following <= attempt;
    add(claim, wasLast ? 'dead' : 'retrying', attempt, finishedAt, error && saidBy(error));
    // A replay counts as a claim, so what still waits after it is told of below.
    const waits = (row.state === 'queued' || row.state === 'scheduled') && row.claim <= claim + 1;
    const isReplayed = wasLast && !(isNewest && (row.state === 'dead' || row.state === 'discarded' || waits));
    if (isReplayed) add(claim, 'queued', 0, null);
  }

  if (row.state === 'running' || row.state === 'succeeded')
    add(row.claim, 'running', row.attempt, row.started_at);
  add(row.claim, row.state, row.attempt, row.state === 'running' ? row.started_at : row.finished_at);
  return changes;
}

/** Whether a change came after another one, both given by their ids. False for invalid ids. */
export function isAfter(id: string, other: string): boolean {
  const [claim, order] = positionOf(id);
  const [otherClaim, otherOrder] = positionOf(other);
  return claim > otherClaim || (claim === otherClaim && order > otherOrder);
}

function positionOf(id: string): [claim: number, order: number] {
  const [, claim, state = ''] = /^(\d{1,9})\.([a-z]+)/.exec(id) ?? [];
  return Object.hasOwn(ORDER, state) ? [Number(claim), ORDER[state as JobState]] : [Number.NaN, Number.NaN];
}

/** The attempt that came or would come after the newest that has ended: they are counted when they are claimed. */
function nextAttempt({ state, attempt }: HistoryRow): number {
  const isAtOrPastIt =
    state === 'running' || state === 'succeeded' || state === 'dead' || state === 'discarded';
  return isAtOrPastIt ? attempt : attempt + 1;
}
