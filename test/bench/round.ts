import { setTimeout as pause } from 'node:timers/promises';
import type { Workers } from './child.js';
import { now } from './protocol.js';
import type { System } from './systems.js';

/** How much is done in one round of one system. */
export interface Extent {
  jobs: number;
  warmUp: number;
  latencySeconds: number;
}

/** What one round of one system gave. Rates are jobs a second, latencies milliseconds from enqueue to handler. */
export interface Measures {
  enqueue: number;
  /** By the call for many jobs; absent where there is none. */
  bulk?: number;
  drain: number;
  both: number;
  p50: number;
  p95: number;
  p99: number;
  /** CPU seconds of producer and worker for 1,000 jobs, both at once. */
  cpu: number;
  /** Resident memory of the worker at the end, in MiB. */
  memory: number;
}

/** Enqueues that are not confirmed yet, at most: enough to keep every system busy. */
const WINDOW = 1_000;
const BULK_SIZE = 500;
const LATENCY_RATE = 200;
const POLL_MS = 10;
/** A worker acknowledges and records what it has handled within this time. */
const SETTLE_MS = 300;
/** A system that has handled nothing more for so long has lost jobs. */
const STUCK_MS = 30_000;

/** Measures one system once, in processes that start for it and are warmed up. */
export async function playRound(system: System, { jobs, warmUp, latencySeconds }: Extent): Promise<Measures> {
  const producer = await system.producer();
  const worker = await system.worker();
  try {
    const enqueue = async (count: number) => {
      const answer = await producer.tell({ do: 'enqueue', jobs: count, window: WINDOW });
      return answer as { from: number; to: number };
    };
    const drain = async (count: number) => {
      await pause(SETTLE_MS);
      const from = now();
      worker.resume();
      const { last } = await handled(worker, count);
      await pause(SETTLE_MS);
      return perSecond(count, from, last);
    };
    await Promise.all([enqueue(warmUp), handled(worker, warmUp)]);
    await pause(SETTLE_MS);

    const before = await cpuOf(producer, worker);
    const [start, end] = await Promise.all([enqueue(jobs), handled(worker, jobs)]);
    await pause(SETTLE_MS);
    const cpu = ((await cpuOf(producer, worker)) - before) / jobs;
    const both = perSecond(jobs, start.from, Math.max(start.to, end.last));

    worker.suspend();
    const filled = await enqueue(jobs);
    const drained = await drain(jobs);

    worker.suspend();
    const bulk = await producer.tell({ do: 'bulk', jobs, size: BULK_SIZE });
    worker.resume();
    if (bulk) await drain(jobs);

    const paced = LATENCY_RATE * latencySeconds;
    const [, { latencies }] = await Promise.all([
      producer.tell({ do: 'pace', perSecond: LATENCY_RATE, seconds: latencySeconds }),
      handled(worker, paced),
    ]);
    // The first tenth is a start from rest.
    const quantile = quantileOf(latencies.slice(paced / 10));
    const usage = await worker.tell({ do: 'usage' });
    return {
      enqueue: perSecond(jobs, filled.from, filled.to),
      bulk: bulk ? perSecond(jobs, bulk.from, bulk.to) : undefined,
      drain: drained,
      both,
      p50: quantile(0.5),
      p95: quantile(0.95),
      p99: quantile(0.99),
      cpu,
      memory: usage?.rssMiB ?? 0,
    };
  } finally {
    await Promise.all([producer.end(), worker.end()]);
  }
}

/** @param latencies in microseconds. @returns what gives the latency, in milliseconds, that a share of them stay below. */
export function quantileOf(latencies: readonly number[]): (share: number) => number {
  const sorted = Float64Array.from(latencies).sort();
  return (share) => (sorted[Math.floor(share * sorted.length)] ?? 0) / 1_000;
}

/** Waits until a worker has handled so many jobs more. */
export async function handled(
  worker: Workers,
  count: number,
): Promise<{ last: number; latencies: number[] }> {
  const latencies: number[] = [];
  for (let waitedSince = Date.now(); ; ) {
    const tally = await worker.tell({ do: 'tally' });
    if (tally && tally.done > 0) {
      latencies.push(...tally.latencies);
      waitedSince = Date.now();
      if (latencies.length >= count) return { last: tally.last, latencies };
    }
    if (Date.now() - waitedSince > STUCK_MS)
      throw new Error(`Only ${latencies.length} of ${count} jobs were handled`);
    await pause(POLL_MS);
  }
}

async function cpuOf(...children: Pick<Workers, 'tell'>[]): Promise<number> {
  const usages = await Promise.all(children.map((child) => child.tell({ do: 'usage' })));
  return usages.reduce((sum, usage) => sum + (usage?.cpuMs ?? 0), 0);
}

export const perSecond = (jobs: number, from: number, to: number) => (jobs * 1_000_000) / (to - from);
