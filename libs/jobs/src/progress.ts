import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { eachApart, JobStore, storable } from '#records';
import type { JobContext } from './handler.js';
import { textOf } from './thrown.js';

/** How often the newest progress of all running jobs is written, in one statement. */
const WRITE_EVERY_MS = 500;
const NOTE_LENGTH = 200;

/**
 * What handlers get as `progress`. It accepts any arguments and passes on what can be stored: fractions are clamped to 0
 * and 1, notes become text. A call without a number is ignored, and logged once.
 */
export function safeProgress(
  job: Pick<JobContext, 'log'>,
  note: JobContext['progress'],
): JobContext['progress'] {
  let hasWarned = false;
  return (fraction: unknown, text: unknown) => {
    if (typeof fraction === 'number' && !Number.isNaN(fraction))
      return note(Math.min(1, Math.max(0, fraction)), textOf(text ?? undefined));
    if (!hasWarned) job.log.warn(`progress() takes a number from 0 to 1: a ${kindOf(fraction)} is ignored`);
    hasWarned = true;
  };
}

const kindOf = (fraction: unknown) => (typeof fraction === 'number' ? 'NaN' : typeof fraction);

/** Collects the progress of all running jobs, so that a call does not cost a write. */
@Injectable()
export class Progress implements OnApplicationShutdown {
  private readonly logger = new Logger(Progress.name);
  private readonly changed = new Map<
    string,
    { id: string; claim: number; progress: number; note: string | null }
  >();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly store: JobStore) {}

  /** Notes how far a job is, from 0 to 1. */
  note(id: string, claim: number, fraction: number, note?: string): void {
    // Rounded, since PostgreSQL's real holds no number as small as JavaScript's.
    const progress = Math.round(fraction * 1e6) / 1e6;
    this.changed.set(id, {
      id,
      claim,
      progress,
      note: note === undefined ? null : storable(note.slice(0, NOTE_LENGTH)),
    });
    this.timer ??= setTimeout(() => void this.write(), WRITE_EVERY_MS).unref();
  }

  /** Drops what was noted of a job that has ended. */
  forget(id: string): void {
    this.changed.delete(id);
  }

  onApplicationShutdown(): void {
    clearTimeout(this.timer);
  }

  private async write(): Promise<void> {
    this.timer = undefined;
    const updates = [...this.changed.values()];
    this.changed.clear();
    // Progress is for display: the next value replaces one that could not be written.
    if (updates.length === 0) return;
    await eachApart(
      updates,
      (some) => this.store.progress(some),
      ({ id }, { message }) => this.logger.warn({ msg: `Cannot store progress: ${message}`, job: id }),
    ).catch(() => {});
  }
}
