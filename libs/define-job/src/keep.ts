import { type Duration, problemWithDuration } from './duration.js';
import { type AgedState, agedStates } from './states.js';

/** How long jobs are kept after their end, by the state that they ended in. */
export type Ages = Partial<Record<AgedState, Duration>>;
/** What a contract says of it: one age for all of these states, or one for some. */
export type Keep = Duration | Ages;

/** A hundred years: of much longer ages PostgreSQL makes no time. */
const MAX_AGE: Duration = '36500d';

export const agesOf = (keep: Keep): Ages =>
  typeof keep === 'object' ? { ...keep } : Object.fromEntries(agedStates.map((state) => [state, keep]));

export function problemWithKeep(keep: Keep): string | undefined {
  const unknown = Object.keys(agesOf(keep)).find((state) => !agedStates.some((aged) => aged === state));
  if (unknown) return `keep names "${unknown}", which is none of ${agedStates.join(', ')}`;
  return Object.values(agesOf(keep))
    .map((age) => problemWithDuration('keep', age, MAX_AGE))
    .find(Boolean);
}
