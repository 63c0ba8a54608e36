import { type AnyContract, Snooze, toMilliseconds } from '#define-job';
import { resultJson } from '../payload.js';
import type { Outcome } from './outcome.js';

/** How an attempt ended whose handler threw nothing. */
export type Returned = Extract<Outcome, { kind: 'succeeded' }> | { kind: 'snoozed'; delay: number };

/**
 * Makes the outcome of what a handler returned, where the handler ran: its result is JSON before it leaves a thread.
 *
 * @throws what is wrong with the result, or with the delay of a snooze.
 */
export function returned(contract: AnyContract, result: unknown, maxBytes: number): Returned {
  if (result instanceof Snooze) return { kind: 'snoozed', delay: toMilliseconds(result.delay) };
  return { kind: 'succeeded', result: resultJson(contract, result, maxBytes) };
}
