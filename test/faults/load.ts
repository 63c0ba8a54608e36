import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';

/** Requests that may be open at once. An api that answers within its limits never lets it come to that. */
const OPEN_REQUESTS = 200;
/** A request without an answer by then counts as hung. */
const ANSWER_LIMIT_MS = 20_000;
const TICK_MS = 20;

/** A job as it is posted. */
export interface Posting {
  name: string;
  payload: Record<string, unknown>;
  options?: { delay?: string; next?: Posting };
}

export interface LoadOptions {
  jobs: number;
  perSecond: number;
  /** The n-th job; the usual {@link mix} when absent. */
  pick?: (n: number) => Posting;
}

/** For a load that is to last as long as its fault. */
export const UNTIL_STOPPED = Number.POSITIVE_INFINITY;

/** Mostly quick jobs, some that are in flight for a while, some that go through a retry queue. */
export function mix(n: number): Posting {
  if (n % 20 === 0) return { name: 'ledger.flaky', payload: { n } };
  if (n % 20 < 4) return { name: 'ledger.slow', payload: { n, ms: 200 + 50 * (n % 17) } };
  return { name: 'ledger.write', payload: { n } };
}

/**
 * A client that posts jobs at a steady rate, whatever becomes of those before, and notes which of them got a 202. It
 * tries nothing again: what was not accepted is not its concern any more.
 */
export class Load {
  /** The jobs that the api is bound to, by id. */
  readonly accepted = new Map<string, Posting>();
  /** How many got each other answer. */
  readonly refused = new Map<number, number>();
  /** How many got none, by what happened to the request: nobody knows whether those jobs exist. */
  readonly unanswered = new Map<string, number>();
  attempted = 0;
  /** Resolves when every job was posted and has its answer, or has been given up. */
  readonly done: Promise<void>;
  private readonly agent = new Agent({
    connections: OPEN_REQUESTS,
    headersTimeout: ANSWER_LIMIT_MS,
    bodyTimeout: ANSWER_LIMIT_MS,
  });
  private stopped = false;

  constructor(
    private readonly url: string,
    private readonly options: LoadOptions,
  ) {
    this.done = this.run();
  }

  /** Waits until so many jobs were posted. */
  async reaches(jobs: number): Promise<void> {
    while (this.attempted < jobs && !this.stopped) await pause(TICK_MS);
  }

  /** How many requests took longer than anybody should have to wait. */
  get hung(): number {
    return [...this.unanswered].reduce((sum, [what, count]) => sum + (/TIMEOUT/.test(what) ? count : 0), 0);
  }

  /** Throws unless every job that was posted got a 202. */
  assertNothingRefused(): void {
    const others = JSON.stringify([...this.refused, ...this.unanswered]);
    assert.equal(this.accepted.size, this.attempted, `Jobs were refused: ${others}`);
  }

  /** Posts no more. */
  stop(): void {
    this.stopped = true;
  }

  private async run(): Promise<void> {
    const { jobs, perSecond, pick = mix } = this.options;
    const open = new Set<Promise<void>>();
    const startedAt = Date.now();
    while (this.attempted < jobs && !this.stopped) {
      const due = Math.min(jobs, Math.ceil(((Date.now() - startedAt) * perSecond) / 1_000));
      while (this.attempted < due && open.size < OPEN_REQUESTS) {
        const posted = this.post(pick(this.attempted++));
        open.add(posted);
        void posted.finally(() => open.delete(posted));
      }
      await pause(TICK_MS);
    }
    await Promise.all(open);
    await this.agent.close();
  }

  private async post(posting: Posting): Promise<void> {
    try {
      const { statusCode, body } = await request(`${this.url}/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(posting),
        dispatcher: this.agent,
      });
      const answer = (await body.json()) as { id: string };
      if (statusCode === 202) this.accepted.set(answer.id, posting);
      else count(this.refused, statusCode);
    } catch (error) {
      count(this.unanswered, (error as { code?: string }).code ?? (error as Error).name);
    }
  }
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
