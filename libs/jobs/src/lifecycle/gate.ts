/**
 * Lets many tasks in at once, or one exclusive: a task that must be exclusive waits until those inside have left, and those
 * that come after it wait behind it, so that it gets its turn.
 */
export class Gate {
  private inside = 0;
  private isExclusive = false;
  private readonly waiting: { exclusive: boolean; enter: () => void }[] = [];

  /**
   * Goes in, beside others or exclusive. Anyone who went in must {@link leave}.
   *
   * @returns what to wait for before one is in; undefined when one is in already.
   */
  enter(exclusive: boolean): Promise<void> | undefined {
    if (this.waiting.length > 0 || !this.admits(exclusive))
      return new Promise((enter) => this.waiting.push({ exclusive, enter }));
    this.admit(exclusive);
    return undefined;
  }

  /** Lets in who may follow. */
  leave(): void {
    this.inside--;
    this.isExclusive = false;
    for (let next = this.waiting[0]; next && this.admits(next.exclusive); next = this.waiting[0]) {
      this.waiting.shift();
      this.admit(next.exclusive);
      next.enter();
    }
  }

  private admits(exclusive: boolean): boolean {
    return !this.isExclusive && (!exclusive || this.inside === 0);
  }

  private admit(exclusive: boolean): void {
    this.inside++;
    this.isExclusive = exclusive;
  }
}
