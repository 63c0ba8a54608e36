import { readFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import type { Used } from '#records';

/** A job that never returns to its event loop is looked at when it ends. */
const LOOK_EVERY_MS = 50;

/** Measures what this thread uses from now on. */
export class Usage {
  private readonly cpuBefore = cpuMs();
  private heapBytes = 0;
  private readonly timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();

  /** @returns what was used until now. */
  end(): Used {
    clearInterval(this.timer);
    this.look();
    const [before, after] = [this.cpuBefore, cpuMs()];
    const cpu = before === null || after === null ? null : Math.round(after - before);
    return { cpuMs: cpu, heapBytes: this.heapBytes };
  }

  private look(): void {
    this.heapBytes = Math.max(this.heapBytes, getHeapStatistics().used_heap_size);
  }
}

/** Of this thread alone. Node tells it from 23.9 on, and Linux whatever the Node. */
function cpuMs(): number | null {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => NodeJS.CpuUsage };
  try {
    if (!threadCpuUsage)
      return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6;
    const { user, system } = threadCpuUsage();
    return (user + system) / 1e3;
  } catch {
    return null;
  }
}
