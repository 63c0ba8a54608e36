import { Cron } from 'croner';

/** When a schedule fires: a cron expression on the clock of a time zone. */
export interface Timing {
  /** Five fields, or six with seconds first, or a nickname such as `@daily`. */
  cron: string;
  /** An IANA name such as `Europe/Berlin`. */
  timeZone: string;
}

/** Longer than any expression that a person would read. */
const MAX_LENGTH = 200;
const NICKNAME = /^@[a-z]+$/i;

/**
 * The ticks of a schedule, as points in time. Where clocks are changed the rules are those of Debian's cron:
 *
 * - An expression that names its hours and minutes (`30 2 * * *`) fires once on each day it names: a time that the
 *   change skips fires right after the gap, a time that comes twice fires the first time.
 * - An expression with a `*` or a step in them (`*∕15 * * * *`) keeps real time: it goes on through the hour that comes
 *   twice, and what is skipped is skipped.
 */
export class Ticks {
  private readonly pattern: Cron;

  /** @throws RangeError when the zone is unknown or the expression is wrong or never fires; it says which. */
  constructor({ cron, timeZone }: Timing) {
    checkZone(timeZone);
    const fields = cron.trim().split(/\s+/);
    const isCron = fields.length === 5 || fields.length === 6 || NICKNAME.test(cron);
    // Anything else would be taken for a date, or has a field for years.
    if (!isCron || cron.length > MAX_LENGTH) {
      throw new RangeError(
        `cron ${JSON.stringify(cron.slice(0, MAX_LENGTH))} must have five fields (minute, hour, day of month, ` +
          'month, day of week), or six with seconds first, such as "15 3 * * *"',
      );
    }
    try {
      this.pattern = new Cron(cron, {
        timezone: timeZone,
        mode: '5-or-6-parts',
        fixedTimeRule: 'no-wildcard',
        paused: true,
      });
    } catch (error) {
      throw new RangeError(`cron "${cron}" cannot be used: ${(error as Error).message}`);
    }
    if (!this.pattern.nextRun()) throw new RangeError(`cron "${cron}" never fires: no such day exists`);
  }

  after(time: Date): Date {
    return this.pattern.nextRun(time) as Date;
  }

  next(count: number, time: Date): Date[] {
    return this.pattern.nextRuns(count, time);
  }

  /** The newest ticks between two points in time, both included, oldest first. */
  newest(count: number, from: Date, until: Date): Date[] {
    return this.pattern
      .previousRuns(count, new Date(until.getTime() + 1))
      .filter((tick) => tick >= from)
      .reverse();
  }
}

/** Offsets such as `+02:00` are refused: they know nothing of summer time, which anyone who writes them expects. */
function checkZone(timeZone: string): void {
  try {
    if (/^[A-Za-z]/.test(timeZone)) {
      new Intl.DateTimeFormat('en', { timeZone });
      return;
    }
  } catch {
    // Intl throws at what it does not know.
  }
  throw new RangeError(
    `timeZone ${JSON.stringify(timeZone)} is unknown: use an IANA name such as "Europe/Berlin", or "UTC"`,
  );
}
