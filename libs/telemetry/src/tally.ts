const tallies: Tally[] = [];

/** A counter or gauge that is updated on scrape: prom-client looks up the labels of each count, and a job counts five times. */
export class Tally {
  private counted = 0;

  /** @param metric what `labels(…)` gives; it exists from now on, with 0. */
  constructor(private readonly metric: { inc(by: number): void }) {
    metric.inc(0);
    tallies.push(this);
  }

  /** @param by less than none for a gauge that falls. */
  add(by = 1): void {
    this.counted += by;
  }

  /** Hands over what all have counted. */
  static flush(): void {
    for (const tally of tallies) {
      if (tally.counted !== 0) tally.metric.inc(tally.counted);
      tally.counted = 0;
    }
  }
}
