import { now, serve, usage } from './protocol.js';

/** How many jobs a worker process has handled, and how long after they were enqueued. */
export class Tally {
  private done = 0;
  private last = 0;
  private latencies: number[] = [];

  /** Tells the bench that the worker is ready, and answers it from then on. */
  serve(): this {
    serve({
      tally: () => {
        const { done, last, latencies } = this;
        [this.done, this.latencies] = [0, []];
        return { done, last, latencies };
      },
      usage,
    });
    return this;
  }

  /** Call it first in the handler. @param at when the job was enqueued. */
  count(at: number): void {
    this.last = now();
    this.done++;
    this.latencies.push(this.last - at);
  }
}
