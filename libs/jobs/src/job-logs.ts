import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { DatabaseUnavailableError, JobLogStore, type NewLogLine, storable } from '#records';
import type { Keep } from '#telemetry';

/** How often the lines of all running jobs are written, in one statement. */
const WRITE_EVERY_MS = 500;
/** What is kept of one attempt: enough to see what went on. */
const MAX_LINES = 200;
const MAX_BYTES = 64 * 1024;
/** What may wait to be written. While the database is away, lines beyond it are missing. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

/** Keeps what handlers log beside the records of their jobs, so that a line does not cost a write. */
@Injectable()
export class JobLogs implements BeforeApplicationShutdown {
  private readonly logger = new Logger(JobLogs.name);
  private readonly waiting = new Set<NewLogLine>();
  private waitingBytes = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly store: JobLogStore) {}

  /** What takes the lines of one attempt. Those that are too many are counted, and the last line tells their number. */
  keeperOf({ job, claim, attempt }: Pick<NewLogLine, 'job' | 'claim' | 'attempt'>): Keep {
    let [line, bytes, missing] = [0, 0, 0];
    let last: NewLogLine | undefined;
    return (level, said) => {
      const size = Buffer.byteLength(said);
      const given = { job, claim, attempt, level, loggedAt: performance.now() };
      const isKept = line < MAX_LINES && bytes + size <= MAX_BYTES;
      if (isKept && this.waitingBytes + size <= MAX_WAITING_BYTES) {
        const { msg = '', ...fields } = JSON.parse(said);
        const message = storable(typeof msg === 'string' ? msg : JSON.stringify(msg));
        bytes += size;
        this.add({ ...given, line: ++line, message, fields: JSON.stringify(fields) }, size);
        return;
      }
      last ??= { ...given, level: 'warn', line: MAX_LINES + 1, message: '', fields: '{}' };
      last.message = `Lines that are missing here: ${++missing}. Of an attempt 200 lines and 64 KiB are kept`;
      this.add(last);
    };
  }

  /** Nest calls it when no more jobs run and the database still stands. */
  async beforeApplicationShutdown(): Promise<void> {
    clearTimeout(this.timer);
    await this.write();
  }

  private add(line: NewLogLine, bytes = 0): void {
    this.waiting.add(line);
    this.waitingBytes += bytes;
    this.timer ??= setTimeout(() => void this.write(), WRITE_EVERY_MS).unref();
  }

  private async write(): Promise<void> {
    const [lines, bytes] = [[...this.waiting], this.waitingBytes];
    this.waiting.clear();
    this.waitingBytes = 0;
    if (lines.length > 0) {
      await this.store.add(lines).catch((error) => {
        if (!(error instanceof DatabaseUnavailableError))
          return this.logger.warn(`Cannot store ${lines.length} lines of logs: ${error.message}`);
        for (const line of lines) this.waiting.add(line);
        this.waitingBytes += bytes;
      });
    }
    // Not before: a slow database gets one statement at a time.
    this.timer =
      this.waiting.size > 0 ? setTimeout(() => void this.write(), WRITE_EVERY_MS).unref() : undefined;
  }
}
