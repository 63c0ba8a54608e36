/** How long handlers may be started in one turn of the event loop. Longer turns come late to all else that there is to do. */
const LONG_MS = 10;

/**
 * Starts handlers one after the other, and lets the event loop go round after 10 ms: handlers that compute and were claimed
 * together would otherwise hold up heartbeats and settlements until the last of them has started.
 */
export class LoopTurns {
  private readonly waiting: (() => void)[] = [];
  private isStarting = false;
  private since = 0;

  start(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (!this.isStarting) this.begin();
    });
  }

  private readonly begin = () => {
    this.isStarting = true;
    this.since = performance.now();
    this.startNext();
  };

  private startNext(): void {
    const start = this.waiting.shift();
    this.isStarting = start !== undefined;
    start?.();
    // A tick that a microtask asks for comes when all of them have run, and with them all that the handler computes
    // before it waits for something.
    if (start) queueMicrotask(() => process.nextTick(this.goOn));
  }

  private readonly goOn = () => {
    if (performance.now() - this.since > LONG_MS) setImmediate(this.begin);
    else this.startNext();
  };
}
