import { setTimeout as pause } from 'node:timers/promises';
import { type Gauge, Registry } from 'prom-client';
import { registry } from './metrics.js';
import { Tally } from './tally.js';

/** Anyone who scrapes waits no longer for what has to be looked up; Prometheus itself waits 10 s. */
const LOOKUP_TIMEOUT_MS = 2_000;
/** Values are good for this many times as long as it took to look them up, so that scrapes cost no more than a part of that. */
const FRESH_FACTOR = 20;

/** A gauge with its value. */
export type Sample = readonly [gauge: Gauge, value: number, labels?: Record<string, string>];

/** Gauges whose values are read elsewhere, such as in the database. */
interface Lookup {
  readonly registry: Registry;
  readonly read: () => Promise<Sample[]> | Sample[];
  /** What is shown of it; empty while it cannot be read. */
  text: string;
  reading?: Promise<void>;
  freshUntil: number;
}

/** Of the whole process, as all metrics are. */
const lookups: Lookup[] = [];

/**
 * Looks values up when somebody scrapes, and rarely, however many do. While that fails or takes too long the gauges
 * are left out; the scrape itself does not fail.
 */
export function lookUp(gauges: readonly Gauge[], read: Lookup['read']): void {
  const lookup: Lookup = { registry: new Registry(), read, text: '', freshUntil: 0 };
  for (const gauge of gauges) lookup.registry.registerMetric(gauge);
  lookups.push(lookup);
}

/** All metrics, in the text format of Prometheus. */
export async function scrape(): Promise<string> {
  Tally.flush();
  const texts = await Promise.all([registry.metrics(), ...lookups.map(show)]);
  return texts.filter(Boolean).join('\n');
}

async function show(lookup: Lookup): Promise<string> {
  if (performance.now() >= lookup.freshUntil) lookup.reading ??= refresh(lookup);
  const isLate = pause(LOOKUP_TIMEOUT_MS, true, { ref: false });
  return (await Promise.race([lookup.reading, isLate])) ? '' : lookup.text;
}

/** Never throws. */
async function refresh(lookup: Lookup): Promise<void> {
  const startedAt = performance.now();
  try {
    const samples = await lookup.read();
    lookup.registry.resetMetrics();
    for (const [gauge, value, labels = {}] of samples) gauge.set(labels, value);
    lookup.text = await lookup.registry.metrics();
    const now = performance.now();
    lookup.freshUntil = now + FRESH_FACTOR * (now - startedAt);
  } catch {
    // Outages are logged where they happen.
    lookup.text = '';
  }
  lookup.reading = undefined;
}
