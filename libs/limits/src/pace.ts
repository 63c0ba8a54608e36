import { toMilliseconds } from '#config';
import type { HandlerLimits } from '#jobs';

/**
 * How the starts of a rate limit are spaced. A job starts at most `slackMs` after its time, and the spacing makes room for
 * that: no time of `per`, wherever it begins, sees more than `max` starts.
 */
export interface Pace {
  /** Milliseconds between two starts. */
  stepMs: number;
  /** How far starts may run ahead of their spacing, in milliseconds: what `burst` makes of it. */
  aheadMs: number;
  /** How late a job may start; later, its time is over and it needs another one. */
  slackMs: number;
  /** A job whose time comes within this is held by its worker, which starts it exactly then; others are put off. */
  holdMs: number;
}

/** The price of the guarantee: the spacing is so much wider. Less than 5 ms or more than 250 ms would serve nobody. */
const SLACK = 0.05;
const MIN_SLACK_MS = 5;
const MAX_SLACK_MS = 250;
/** Held jobs take up prefetch. 250 ms covers relay and worker at high rates; ten jobs, or a second, cover the relay's pause. */
const HOLD_MS = 250;
const HOLD_JOBS = 10;
const MAX_HOLD_MS = 1_000;

/** @throws RangeError when the limit makes no sense. */
export function paceOf({ max, per, burst = 1 }: NonNullable<HandlerLimits['rateLimit']>): Pace {
  const perMs = toMilliseconds(per);
  if (!Number.isInteger(max) || max < 1) throw new RangeError('rateLimit.max must be a whole number from 1');
  if (perMs < 1) throw new RangeError('rateLimit.per must be at least 1ms');
  if (!Number.isInteger(burst) || burst < 1 || burst > max) {
    throw new RangeError('rateLimit.burst must be a whole number from 1 to max');
  }
  const slackMs = Math.min(MAX_SLACK_MS, Math.max(MIN_SLACK_MS, perMs * SLACK));
  // A burst that has been let through at any time must leave room for what the spacing lets through besides.
  const stepMs = (perMs + slackMs) / (max - burst + 1);
  const holdMs = Math.min(MAX_HOLD_MS, Math.max(HOLD_MS, HOLD_JOBS * stepMs));
  return { stepMs, aheadMs: (burst - 1) * stepMs, slackMs, holdMs };
}
