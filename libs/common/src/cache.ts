import { withTimeout } from './with-timeout.js';

export interface CacheOptions {
  freshMs?: number;
  /** It is fresh for at least so many times as long as it took to read. */
  freshFactor?: number;
  /** Who asks waits no longer than this for a newer value than the last one. Without it, however long that takes. */
  maxWaitMs?: number;
}

/** A value that takes time to read: it is read once for all who ask at once, and not again while it is fresh. */
export class Cache<T> {
  private latest: { value: T; freshUntil: number } | undefined;
  private reading: Promise<T> | undefined;

  constructor(
    private readonly read: () => Promise<T>,
    private readonly options: CacheOptions = {},
  ) {}

  /** The value, as fresh as the options say. @throws what reading it failed with. */
  async get(): Promise<T> {
    const { latest } = this;
    if (latest && performance.now() < latest.freshUntil) return latest.value;
    const reading = this.refresh();
    const { maxWaitMs } = this.options;
    if (!latest || maxWaitMs === undefined) return reading;
    return withTimeout(reading, maxWaitMs, () => latest.value);
  }

  /** The value as it is from now on, or as it is read at this moment for others. */
  refresh(): Promise<T> {
    this.reading ??= this.start();
    return this.reading;
  }

  /** Forgets the value: something changed it. What is read at this moment is not kept. */
  clear(): void {
    this.latest = this.reading = undefined;
  }

  private start(): Promise<T> {
    const { freshMs = 0, freshFactor = 0 } = this.options;
    const startedAt = performance.now();
    const isCurrent = () => this.reading === reading;
    const reading = this.read()
      .then((value) => {
        const now = performance.now();
        const freshUntil = now + Math.max(freshMs, freshFactor * (now - startedAt));
        if (isCurrent()) this.latest = { value, freshUntil };
        return value;
      })
      .finally(() => {
        if (isCurrent()) this.reading = undefined;
      });
    return reading;
  }
}
