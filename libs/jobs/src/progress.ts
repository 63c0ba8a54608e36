import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Records } from '#records';

/** How often the newest progress of all running jobs is written, in one statement. */
const WRITE_EVERY_MS = 500;

/** Collects what handlers tell of their progress, so that telling it costs no write. */
@Injectable()
export class Progress implements OnApplicationShutdown {
  private readonly changed = new Map<
    string,
    { id: string; claim: number; progress: number; note: string | null }
  >();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly records: Records) {}

  /** Notes how far a job is, from 0 to 1. Values beyond are cut; what is no number is ignored. */
  note(id: string, claim: number, fraction: number, note?: string): void {
    if (typeof fraction !== 'number' || Number.isNaN(fraction)) return;
    const progress = Math.min(1, Math.max(0, fraction));
    this.changed.set(id, { id, claim, progress, note: note?.slice(0, 200).replaceAll('\0', '') ?? null });
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
    // Progress is for looking at: what cannot be written now is overtaken by what comes next.
    if (updates.length > 0) await this.records.progress(updates).catch(() => {});
  }
}
