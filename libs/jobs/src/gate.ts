/**
 * Lets many tasks in at once, or one alone: a task that must be alone waits until those inside have left, and those
 * that come after it wait behind it, so that it gets its turn.
 */
export class Gate {
  private inside = 0;
  private isAlone = false;
  private readonly waiting: { alone: boolean; enter: () => void }[] = [];

  /** Runs a task beside others. */
  shared<T>(task: () => Promise<T>): Promise<T> {
    return this.pass(false, task);
  }

  /** Runs a task while no other is inside. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return this.pass(true, task);
  }

  private async pass<T>(alone: boolean, task: () => Promise<T>): Promise<T> {
    if (this.waiting.length > 0 || !this.admits(alone)) {
      await new Promise<void>((enter) => this.waiting.push({ alone, enter }));
    } else this.admit(alone);
    try {
      return await task();
    } finally {
      this.inside--;
      this.isAlone = false;
      for (let next = this.waiting[0]; next && this.admits(next.alone); next = this.waiting[0]) {
        this.waiting.shift();
        this.admit(next.alone);
        next.enter();
      }
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
