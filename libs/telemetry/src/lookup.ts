import { type Gauge, Registry } from 'prom-client';
import { Cache, withTimeout } from '#common';
import { registry } from './metrics.js';
import { Tally } from './tally.js';

/** Time limit for the lookups of a scrape. Prometheus itself waits 10 s. */
const LOOKUP_TIMEOUT_MS = 2_000;
/** Values are cached for this many times as long as their lookup took, which bounds the cost of scrapes. */
const FRESH_FACTOR = 20;

export type Sample = readonly [gauge: Gauge, value: number, labels?: Record<string, string>];

/** The text of looked-up gauges. One list for the process, as for all metrics. */
const lookups: Cache<string>[] = [];

/** Reads gauges on scrape, cached. If that fails or takes too long, the scrape succeeds without them. */
export function lookUp(gauges: readonly Gauge[], read: () => Promise<Sample[]> | Sample[]): void {
  const registry = new Registry();
  for (const gauge of gauges) registry.registerMetric(gauge);
  const readText = async () => {
    const samples = await read();
    registry.resetMetrics();
    for (const [gauge, value, labels = {}] of samples) gauge.set(labels, value);
    return registry.metrics();
  };
  lookups.push(new Cache(readText, { freshFactor: FRESH_FACTOR }));
}

/** All metrics, in the text format of Prometheus. */
export async function scrape(): Promise<string> {
  Tally.flush();
  const texts = await Promise.all([registry.metrics(), ...lookups.map(show)]);
  return texts.filter(Boolean).join('\n');
}

/** Outages are logged where they happen. */
const show = (lookup: Cache<string>) =>
  withTimeout(lookup.get(), LOOKUP_TIMEOUT_MS, () => '').catch(() => '');
