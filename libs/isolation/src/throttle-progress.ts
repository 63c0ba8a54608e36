import type { JobContext } from '#jobs';

/** Far more often than the record is written, and seldom enough that a tight loop does not flood the worker. */
const EVERY_MS = 100;

/** Passes on progress at most ten times a second, the newest last; by the clock, as no timer fires while a handler computes. */
export function throttleProgress(send: JobContext['progress']) {
  let sentAt = Number.NEGATIVE_INFINITY;
  let waiting: [fraction: number, note?: string] | undefined;
  let timer: NodeJS.Timeout | undefined;

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (!waiting) return;
    const newest = waiting;
    waiting = undefined;
    sentAt = performance.now();
    send(...newest);
  };
  const note: JobContext['progress'] = (...newest) => {
    waiting = newest;
    if (performance.now() - sentAt >= EVERY_MS) flush();
    else timer ??= setTimeout(flush, EVERY_MS);
  };
  return { note, flush };
}
