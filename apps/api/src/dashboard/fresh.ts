import { setTimeout as pause } from 'node:timers/promises';

/** How long a page waits for newer figures than it has: they may take a second to count. */
const PATIENCE_MS = 50;

/** An answer, and when it was given, in the time of this process. */
export interface Answer<T> {
  answer: T;
  at: number;
}

/**
 * An answer that many ask for and that takes its time: asked for once for all of them, and not again while it is fresh.
 * Anyone who comes later gets the one from before, however old it is, unless a newer one comes within a moment.
 */
export class Fresh<T> {
  private latest: Answer<T> | undefined;
  private asking: Promise<Answer<T>> | undefined;

  constructor(
    private readonly ask: () => Promise<T>,
    private readonly freshMs: number,
  ) {}

  async get(): Promise<Answer<T>> {
    const { latest } = this;
    if (latest && performance.now() - latest.at < this.freshMs) return latest;
    const asking = this.next();
    if (!latest) return asking;
    // What comes too late for this one may fail without anybody having waited for it.
    asking.catch(() => {});
    return Promise.race([asking, pause(PATIENCE_MS, latest, { ref: false })]);
  }

  /** The answer as it is from now on. */
  next(): Promise<Answer<T>> {
    this.asking ??= this.ask()
      .then((answer) => {
        this.latest = { answer, at: performance.now() };
        return this.latest;
      })
      .finally(() => {
        this.asking = undefined;
      });
    return this.asking;
  }
}
