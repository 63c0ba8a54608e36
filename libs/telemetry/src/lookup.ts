import { type Gauge, Registry } from 'prom-client';
import { Cache, withTimeout } from '#common';
import { registry } from './metrics.js';
import { Tally } from './tally.js';

/** Anyone who scrapes waits no longer for what has to be looked up; Prometheus itself waits 10 s. */
const LOOKUP_TIMEOUT_MS = 2_000;
/** Values are good for this many times as long as it took to look them up, so that scrapes cost no more than a part of that. */
const FRESH_FACTOR = 20;

export type Sample = readonly [gauge: Gauge, value: number, labels?: Record<string, string>];

/** The text of gauges whose values are read elsewhere, such as in the database. Of the whole process, as all metrics are. */
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
