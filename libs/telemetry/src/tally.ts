const tallies: Tally[] = [];

/** A counter or gauge that is updated on scrape: prom-client looks up the labels of each count, and a job counts five times. */
export class Tally {
  private counted = 0;

  /** @param metric a metric with its labels; it is exported from now on, with 0. */
  constructor(private readonly metric: { inc(by: number): void }) {
    metric.inc(0);
    tallies.push(this);
  }

  /** @param by negative to lower a gauge. */
  add(by = 1): void {
    this.counted += by;
  }

  /** Adds the counts of all tallies to their metrics. */
  static flush(): void {
    for (const tally of tallies) {
      if (tally.counted !== 0) tally.metric.inc(tally.counted);
      tally.counted = 0;
    }
  }
}
