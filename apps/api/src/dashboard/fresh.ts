import { setTimeout as pause } from 'node:timers/promises';

/** How long a page waits for newer figures than it has: they may take a second to count. */
const PATIENCE_MS = 50;
/** Figures that nobody asked for in this time are too old to be shown. */
const MAX_AGE_MS = 10_000;

/**
 * An answer that many ask for and that takes its time: asked for once for all of them, and not again while it is fresh.
 * Whoever comes a little later gets the one from before, unless a newer one comes within a moment.
 */
export class Fresh<T> {
  private latest: { answer: T; at: number } | undefined;
  private asking: Promise<T> | undefined;

  constructor(
    private readonly ask: () => Promise<T>,
    private readonly freshMs: number,
  ) {}

  async get(): Promise<T> {
    const { latest } = this;
    const age = latest ? performance.now() - latest.at : Number.POSITIVE_INFINITY;
    if (latest && age < this.freshMs) return latest.answer;
    const asking = this.next();
    if (!latest || age > MAX_AGE_MS) return asking;
    // What comes too late for this one may fail without anybody having waited for it.
    asking.catch(() => {});
    return Promise.race([asking, pause(PATIENCE_MS, latest.answer, { ref: false })]);
  }

  /** The answer as it is from now on. */
  next(): Promise<T> {
    this.asking ??= this.ask().then(
      (answer) => {
        this.latest = { answer, at: performance.now() };
        this.asking = undefined;
        return answer;
      },
      (error) => {
        this.asking = undefined;
        throw error;
      },
    );
    return this.asking;
  }

  /** A deed has changed what the answer is: who asks next waits for another one. */
  forget(): void {
    this.latest = undefined;
    this.asking = undefined;
  }
}
