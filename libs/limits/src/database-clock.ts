/** Clocks drift, and are set: what was learned this long ago is learned again. */
const FORGET_AFTER_MS = 30_000;

/** Translates the database's clock into this process's monotonic one; the statement with the shortest way says it best. */
export class DatabaseClock {
  /** Bounds of the database's time minus ours. */
  private least = Number.NEGATIVE_INFINITY;
  private most = Number.POSITIVE_INFINITY;
  private learnedAt = Number.NEGATIVE_INFINITY;

  /** @param time the database's, in milliseconds. @param sentAt, receivedAt ours. */
  observe(time: number, sentAt: number, receivedAt: number): void {
    const [least, most] = [time - receivedAt, time - sentAt];
    const isOld = receivedAt - this.learnedAt > FORGET_AFTER_MS;
    // Bounds that exclude each other: the database's clock was set, or it is another database.
    const isOff = least > this.most || most < this.least;
    if (isOld || isOff) {
      [this.least, this.most, this.learnedAt] = [least, most, receivedAt];
      return;
    }
    this.least = Math.max(this.least, least);
    this.most = Math.min(this.most, most);
  }

  /** When a time of the database's has come for sure. */
  latest(time: number): number {
    return time - this.least;
  }

  /** When a time of the database's may have come at the earliest. */
  earliest(time: number): number {
    return time - this.most;
  }
}
