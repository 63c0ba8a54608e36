import { type AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setTimeout as pause } from 'node:timers/promises';

/** The kinds of handles that can still act after a job, by their names in `async_hooks`. */
const KINDS = new Set([
  ...['Timeout', 'Immediate', 'WORKER', 'MESSAGEPORT', 'PROCESSWRAP', 'FSEVENTWRAP', 'STATWATCHER'],
  ...['TCPWRAP', 'TCPSERVERWRAP', 'PIPEWRAP', 'PIPESERVERWRAP', 'UDPWRAP', 'SIGNALWRAP'],
]);
/** A file that is being closed, for example, is closed within this time. */
const GRACE_MS = 200;
const POLL_INTERVAL_MS = 10;
/** Enough to reach the caller of a timer or a handle above Node's own frames. */
const STACK_DEPTH = 20;
/** A job may make millions of timers. */
const FEW = 1_000;

interface Started {
  kind: string;
  /** A timer that was cleared still claims to hold the process. */
  resource: { hasRef?(): boolean; _destroyed?: boolean };
  /** Where it was started; its text is made only when it is read. */
  at: { stack?: string };
}

/** Records the handles that a job opens, and tells which are still open after it, but for those of `node_modules`. */
export class Leftovers {
  private started: Started[] = [];
  private room = FEW;

  /** @param owners tells whether what runs is a job's. */
  constructor(owners: AsyncLocalStorage<unknown>) {
    const init = (_id: number, kind: string, _trigger: number, resource: object) => {
      if (!KINDS.has(kind) || owners.getStore() === undefined) return;
      const at = {};
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = STACK_DEPTH;
      Error.captureStackTrace(at, init);
      Error.stackTraceLimit = stackTraceLimit;
      this.started.push({ kind, resource, at });
      if (this.started.length > this.room) this.forget();
    };
    createHook({ init }).enable();
  }

  /** What the last job left behind, and where it began. From then on all that is started is the next one's. */
  async take(): Promise<string[]> {
    let found: string[] = [];
    for (let waited = 0; waited < GRACE_MS; waited += POLL_INTERVAL_MS) {
      // First a turn of the event loop, for what the end of the job starts.
      await (waited === 0 ? new Promise(setImmediate) : pause(POLL_INTERVAL_MS));
      this.forget();
      found = [...this.started.flatMap(describe), ...process.getActiveResourcesInfo().filter(isFileRequest)];
      if (found.length === 0) break;
    }
    this.started = [];
    return [...new Set(found)];
  }

  private forget(): void {
    this.started = this.started.filter(({ resource }) => resource.hasRef?.() && !resource._destroyed);
    this.room = Math.max(FEW, 2 * this.started.length);
  }
}

const isFileRequest = (kind: string) => kind.startsWith('FSReq');

/** @returns nothing when a library asked for it. */
function describe({ kind, at }: Started): string[] {
  const [, ...frames] = (at.stack ?? '').split('\n');
  const caller = frames.find((frame) => !/[( ]node:/.test(frame));
  if (caller && /[\\/]node_modules[\\/]/.test(caller)) return [];
  return [caller ? `${kind} ${caller.trim()}` : kind];
}
