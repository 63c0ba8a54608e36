/** Lets many tasks in at once, or one exclusively. Those that come later wait behind one that waits to be exclusive. */
export class Gate {
  private inside = 0;
  private isExclusive = false;
  private readonly waiting: { exclusive: boolean; enter: () => void }[] = [];

  /**
   * Goes in, beside others or exclusively. Each that went in must {@link leave}.
   *
   * @returns what to wait for before the task is in; undefined when it is in already.
   */
  enter(exclusive = false): Promise<void> | undefined {
    if (this.waiting.length > 0 || !this.admits(exclusive))
      return new Promise((enter) => this.waiting.push({ exclusive, enter }));
    this.admit(exclusive);
    return undefined;
  }

  /** Stays in exclusively: waits until the others have left. */
  async becomeExclusive(): Promise<void> {
    this.leave();
    await this.enter(true);
  }

  /** Lets in those that wait and may follow. */
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
