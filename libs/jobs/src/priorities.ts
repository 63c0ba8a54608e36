import type { Priority } from '#define-job';

/** How the prefetch of a queue with priorities is shared. A share may lie idle: that leaves room for a job that comes now. */
const SHARES = { low: 0.15, normal: 0.35 };

/** @returns how many jobs of each priority a worker runs at once: at least one. */
export function sharesOf(prefetch: number): Record<Priority, number> {
  const low = Math.max(1, Math.round(prefetch * SHARES.low));
  const normal = Math.max(1, Math.round(prefetch * SHARES.normal));
  return { high: Math.max(1, prefetch - normal - low), normal, low };
}
