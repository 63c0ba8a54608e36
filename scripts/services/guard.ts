import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * What the guard runs. It remembers the last line it read and obeys it when its input closes, which the kernel
 * sees to however this process ends: after `stop()`, on a signal, on an exception, on `kill -9`.
 */
const SCRIPT = `
end() {
  kill -s "$1" -- "-$2" 2>/dev/null
  tries=0
  while kill -s 0 -- "-$2" 2>/dev/null && [ "$tries" -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
  kill -s KILL -- "-$2" 2>/dev/null
}
last=:
while IFS= read -r line; do last=$line; done
eval "$last"
`;

export interface SpawnOptions {
  /** The signal that ends the process and its process group at once, without damage to anything but its data. */
  signal: 'SIGKILL' | 'SIGQUIT' | 'SIGTERM';
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
  /** An open file that takes what the process prints; nowhere when absent. */
  output?: number;
}

/** Starts processes that cannot outlive this one: a small shell beside them ends them when this process is gone. */
export class Guard {
  readonly #shell: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #running = new Map<ChildProcess, string>();
  readonly #afterwards: string;
  #ended: Promise<void> | undefined;

  /**
   * Starts the guard. It keeps this process alive until `end()`.
   * @param afterwards shell command run once every process is gone, such as the removal of their folder
   */
  constructor(afterwards: string) {
    this.#afterwards = afterwards;
    // Detached, here and below: Ctrl-C in a terminal reaches the whole foreground process group.
    this.#shell = spawn('sh', ['-c', SCRIPT], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#exited = once(this.#shell, 'exit').catch(() => undefined);
    this.#shell.stdin!.on('error', () => undefined);
    this.#writeOrders();
  }

  /** Starts a process as the leader of a process group of its own. The 'error' event is left to the caller. */
  spawn(file: string, args: string[], { signal, output, ...options }: SpawnOptions): ChildProcess {
    const destination = output ?? 'ignore';
    const child = spawn(file, args, {
      ...options,
      detached: true,
      stdio: ['ignore', destination, destination],
    });
    if (child.pid === undefined) return child;
    this.#running.set(child, signal.slice('SIG'.length));
    // Taken off the list when it ends, since its number may by and by belong to somebody else.
    child.once('exit', () => {
      this.#running.delete(child);
      this.#writeOrders();
    });
    this.#writeOrders();
    return child;
  }

  /** Ends every process started here, runs the closing command and resolves when all of it is done. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    const children = [...this.#running.keys()];
    const exits = children.map((child) => once(child, 'exit'));
    this.#shell.stdin!.end();
    await this.#exited;
    // Only when somebody killed the guard itself is anything still on the list long enough to matter.
    if (this.#shell.exitCode === null) for (const child of this.#running.keys()) child.kill('SIGKILL');
    await Promise.all(exits);
  }

  #writeOrders(): void {
    if (!this.#shell.stdin!.writable) return;
    const ends = [...this.#running].map(([child, signal]) => `end ${signal} ${child.pid} & `);
    this.#shell.stdin!.write(`${ends.join('')}wait; ${this.#afterwards}\n`);
  }
}

/** Takes any text; returns it as one word of a shell command. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
