import type { Priority } from '#define-job';

/**
 * How a worker's prefetch of a queue with priorities is shared out. A share that has no jobs lies idle, and that is
 * the point of it: whatever else waits, there is room for a job of high priority that comes now, and for one of low
 * priority that waited long.
 */
const SHARES = { low: 0.15, normal: 0.35 };

/** @returns how many jobs of each priority a worker runs at once: at least one. */
export function sharesOf(prefetch: number): Record<Priority, number> {
  const low = Math.max(1, Math.round(prefetch * SHARES.low));
  const normal = Math.max(1, Math.round(prefetch * SHARES.normal));
  return { high: Math.max(1, prefetch - normal - low), normal, low };
}
