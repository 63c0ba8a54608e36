import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/**
 * What happened to a run of a handler: `started` and `finished` are its effects on the world; `released` is the
 * signal by which its worker, about to stop, announces that the attempt will not count.
 */
export type LedgerEvent = 'started' | 'finished' | 'released';

export interface LedgerEntry {
  job: string;
  name: string;
  attempt: number;
  event: LedgerEvent;
  pid: number;
  /** Milliseconds of the machine's clock, whatever the process takes the time for. */
  at: number;
}

/**
 * The effects of handlers, one line each. A file, because no fault of this suite reaches it: a line that was appended
 * is there whatever becomes of the process, the broker and the database, and lines of several processes do not mix.
 */
export class Ledger {
  constructor(private readonly file: string) {}

  write(entry: Omit<LedgerEntry, 'pid' | 'at'>): void {
    const at = performance.timeOrigin + performance.now();
    appendFileSync(this.file, `${JSON.stringify({ ...entry, pid: process.pid, at })}\n`);
  }

  read(): LedgerEntry[] {
    if (!existsSync(this.file)) return [];
    return readFileSync(this.file, 'utf8')
      .trimEnd()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as LedgerEntry);
  }
}
