/** Durations: a whole number and a unit, such as `500ms` or `5s`. They also name the retry queues (`jobs.retry.5s`). */
const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A whole number with its unit: `ms`, `s`, `m`, `h` or `d`. */
export type Duration = `${number}${keyof typeof units}`;

/** Types a literal as a {@link Duration}, where inference would widen it to `string`. */
export const duration = (value: Duration): Duration => value;

/**
 * Converts a duration to milliseconds. A number is taken as milliseconds already.
 *
 * @throws RangeError when the text is not a valid duration; the message quotes it and shows the form.
 */
export function toMilliseconds(value: Duration | number): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return Math.round(value);
  const [, digits, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(String(value)) ?? [];
  if (!digits || !unit) {
    throw new RangeError(
      `"${value}" is not a valid duration: write a whole number and a unit, such as 500ms, 5s, 2m, 1h or 7d`,
    );
  }
  return Number(digits) * units[unit as keyof typeof units];
}

/** Writes milliseconds in the largest unit that leaves a whole number: 120000 gives `2m`. */
export function formatDuration(milliseconds: number): Duration {
  const unit =
    (['d', 'h', 'm', 's'] as const).find((unit) => milliseconds > 0 && milliseconds % units[unit] === 0) ??
    'ms';
  return `${milliseconds / units[unit]}${unit}`;
}

/** The longest that a timer of Node can wait: one of more than 24.8 days fires at once. RabbitMQ's TTLs go to twice that. */
export const MAX_DURATION: Duration = '24d';
/** The longest that a record keeps a job waiting for its start. */
export const MAX_START_WITHIN: Duration = '365d';

/** What is wrong with how long a part of a contract is to take, which may be anything, if something is. */
export function problemWithDuration(what: string, value: unknown, max = MAX_DURATION): string | undefined {
  try {
    const milliseconds = toMilliseconds(value as Duration);
    if (milliseconds >= 1 && milliseconds <= toMilliseconds(max)) return undefined;
    return `${what} must be 1ms to ${max}, not ${value}`;
  } catch (error) {
    return `${what}: ${(error as Error).message}`;
  }
}
