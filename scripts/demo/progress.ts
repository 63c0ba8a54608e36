import { setTimeout as pause } from 'node:timers/promises';
import type { Client, Job } from './client.js';
import type { Planned } from './workload.js';

/** How many requests the demo keeps open at once, as a busy website would. */
const REQUESTS = 32;
const POLL_MS = 400;

/** The jobs of one queue, counted by state. */
export interface QueueProgress {
  queue: string;
  accepted: number;
  done: number;
  queued: number;
  running: number;
  retrying: number;
  dead: number;
}

/** Enqueues what is planned and counts what becomes of it. Every number is the api's. */
export class Progress {
  /** What the api has accepted, by id. */
  readonly accepted = new Map<string, Job>();
  private readonly deadBefore = new Map<string, number>();

  private constructor(
    private readonly client: Client,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Looks at what is there before.
   *
   * @throws Error when jobs that are not the demo's wait to be run: they would be done with the demo's settings.
   */
  static async begin(client: Client, signal: AbortSignal): Promise<Progress> {
    const progress = new Progress(client, signal);
    for (const { queue, dead, ...waiting } of await client.queues()) {
      progress.deadBefore.set(queue, dead);
      const count = waiting.scheduled + waiting.queued + waiting.running + waiting.retrying;
      if (count > 0) {
        throw new Error(
          `Jobs that are not the demo's wait in the database (queue ${queue}: ${count}), and its worker would do them. Let DATABASE_URL and RABBITMQ_URL name an empty database and an empty vhost, or unset them: the demo then starts its own.`,
        );
      }
    }
    return progress;
  }

  /** Enqueues all of it, each job in a request of its own. */
  async enqueue(planned: readonly Planned[]): Promise<void> {
    const rest = planned.values();
    const lane = async () => {
      for (const { name, payload } of rest) {
        const job = await this.client.enqueue(name, payload);
        this.accepted.set(job.id, job);
      }
    };
    await Promise.all(Array.from({ length: REQUESTS }, lane));
  }

  /** Tells, again and again, how far the jobs are, and how many have ended. */
  async *follow(): AsyncGenerator<{ queues: QueueProgress[]; ended: number }> {
    for (;;) {
      const queues = await this.count();
      yield { queues, ended: queues.reduce((sum, { done, dead }) => sum + done + dead, 0) };
      await pause(POLL_MS, undefined, { signal: this.signal });
    }
  }

  /** What the api says of every accepted job. */
  async jobs(filter: { state?: string } = {}): Promise<Job[]> {
    const jobs: Job[] = [];
    const [oldest] = [...this.accepted.keys()].sort();
    if (oldest === undefined) return jobs;
    for await (const job of this.client.jobs(filter)) {
      // Ids sort by the time of their making, and the list begins with the newest.
      if (job.id < oldest) break;
      if (this.accepted.has(job.id)) jobs.push(job);
    }
    return jobs;
  }

  private async count(): Promise<QueueProgress[]> {
    const done = countByQueue(await this.jobs({ state: 'succeeded' }));
    const queues = await this.client.queues();
    const accepted = countByQueue(this.accepted.values());
    return queues
      .filter(({ queue }) => accepted.has(queue))
      .map(({ queue, scheduled, queued, running, retrying, dead }) => {
        const counts = {
          done: done.get(queue) ?? 0,
          queued: scheduled + queued,
          running,
          retrying,
          dead: dead - (this.deadBefore.get(queue) ?? 0),
        };
        const seen = Object.values(counts).reduce((sum, count) => sum + count, 0);
        // A job may be seen in its queue before the answer that it was accepted has arrived.
        return { queue, accepted: Math.max(accepted.get(queue) ?? 0, seen), ...counts };
      });
  }
}

function countByQueue(jobs: Iterable<Job>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { queue } of jobs) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  return counts;
}
