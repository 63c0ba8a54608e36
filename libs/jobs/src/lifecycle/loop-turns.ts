/** How long handlers may be started in one turn of the event loop. Longer turns come late to all else that there is to do. */
const LONG_MS = 10;

/**
 * Keeps handlers that compute from holding up the event loop together. All that were claimed by one statement would
 * start in the same turn of it; were each of them to compute for 50 ms, then until the last one has started no heartbeat
 * would be sent and nothing that has ended settled. So they start one after the other, and after 10 ms the event loop
 * goes round first.
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
