/**
 * Lets many tasks in at once, or one alone: a task that must be alone waits until those inside have left, and those
 * that come after it wait behind it, so that it gets its turn.
 */
export class Gate {
  private inside = 0;
  private isAlone = false;
  private readonly waiting: { alone: boolean; enter: () => void }[] = [];

  /**
   * Goes in, beside others or alone. Whoever went in must {@link leave}.
   *
   * @returns what to wait for before one is in; undefined when one is in already.
   */
  enter(alone: boolean): Promise<void> | undefined {
    if (this.waiting.length > 0 || !this.admits(alone))
      return new Promise((enter) => this.waiting.push({ alone, enter }));
    this.admit(alone);
    return undefined;
  }

  /** Lets in whoever may follow. */
  leave(): void {
    this.inside--;
    this.isAlone = false;
    for (let next = this.waiting[0]; next && this.admits(next.alone); next = this.waiting[0]) {
      this.waiting.shift();
      this.admit(next.alone);
      next.enter();
    }
  }

  private admits(alone: boolean): boolean {
    return !this.isAlone && (!alone || this.inside === 0);
  }

  private admit(alone: boolean): void {
    this.inside++;
    this.isAlone = alone;
  }
}
