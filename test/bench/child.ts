import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '#testing';
import type { Answers, Command } from './protocol.js';

/** How long a program may take until it is ready. */
const START_MS = 60_000;

/** Where each process leaves a profile of its CPU, when one is wanted: it costs some of what is measured. */
const PROFILES = process.env.BENCH_PROFILES;

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A producer or a worker in a process of its own. */
export class Child {
  private constructor(private readonly process: ChildProcess) {}

  /**
   * Starts a program and waits until it is ready.
   *
   * @param file the built program. @param env its settings.
   * @param core the one core that it may use; any when absent.
   * @param isReady tells whether it is ready; when absent the program tells so itself.
   */
  static async start(
    file: string,
    env: Record<string, string>,
    cwd: string,
    { core, isReady }: { core?: number; isReady?: () => Promise<boolean> } = {},
  ): Promise<Child> {
    const profiled = PROFILES ? ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`] : [];
    const program =
      core === undefined
        ? { execArgv: profiled }
        : { execPath: 'taskset', execArgv: ['--cpu-list', String(core), process.execPath, ...profiled] };
    // Logs are written as in production, where something reads them: here nobody does, and no pipe is in the way.
    const child = fork(file, {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...program,
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    let errors = '';
    child.stderr?.on('data', (chunk) => {
      errors = (errors + chunk).slice(-4_000);
    });
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`${file} ended with ${code}:\n${errors}`);
    });
    ended.catch(() => {});
    await Promise.race([isReady ? eventually(isReady, START_MS) : once(child, 'message'), ended]);
    return new Child(child);
  }

  /** @returns the answer; null when the program knows no such command. */
  async tell<Name extends Command['do']>(
    command: Extract<Command, { do: Name }>,
  ): Promise<Answers[Name] | null> {
    this.process.send(command);
    let message: { answer?: Answers[Name]; error?: string; ready?: true };
    do [message] = await once(this.process, 'message');
    while (
      // It may still be unread where something else told that the program is ready.
      message.ready
    );
    const { answer = null, error } = message;
    if (error) throw new Error(error);
    return answer;
  }

  /** Stops the process where it stands, until {@link resume}. */
  suspend(): void {
    this.process.kill('SIGSTOP');
  }

  resume(): void {
    this.process.kill('SIGCONT');
  }

  async end(): Promise<void> {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGCONT');
    // Killed, it would leave no profile. Programs of the bench end when they are left, the apps when they are told to.
    if (PROFILES) this.process.disconnect();
    setTimeout(() => this.process.kill(PROFILES ? 'SIGTERM' : 'SIGKILL'), PROFILES ? 1_000 : 0);
    await ended;
  }
}

/** One worker process or several. */
export interface Workers {
  tell(command: { do: 'tally' }): Promise<Answers['tally'] | null>;
  tell(command: { do: 'usage' }): Promise<Answers['usage'] | null>;
  suspend(): void;
  resume(): void;
  end(): Promise<void>;
}

/** Worker processes that are told things as if they were one. */
export class Crew implements Workers {
  constructor(private readonly workers: readonly Child[]) {}

  /** @returns their tallies in one; of what they use the CPU of all, and the memory of the largest. */
  async tell(command: { do: 'tally' }): Promise<Answers['tally']>;
  async tell(command: { do: 'usage' }): Promise<Answers['usage']>;
  async tell(command: { do: 'tally' | 'usage' }): Promise<Answers['tally'] | Answers['usage']> {
    if (command.do === 'usage') {
      const usages = await this.all({ do: 'usage' });
      return {
        cpuMs: usages.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
        rssMiB: Math.max(...usages.map(({ rssMiB }) => rssMiB)),
        statements: sumOf(usages.map(({ statements }) => statements)),
      };
    }
    const tallies = await this.all({ do: 'tally' });
    return {
      done: tallies.reduce((sum, { done }) => sum + done, 0),
      last: Math.max(...tallies.map(({ last }) => last)),
      latencies: tallies.flatMap(({ latencies }) => latencies),
    };
  }

  private all<Name extends 'tally' | 'usage'>(
    command: Extract<Command, { do: Name }>,
  ): Promise<Answers[Name][]> {
    return Promise.all(this.workers.map(async (worker) => (await worker.tell(command)) as Answers[Name]));
  }

  suspend(): void {
    for (const worker of this.workers) worker.suspend();
  }

  resume(): void {
    for (const worker of this.workers) worker.resume();
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.end()));
  }
}

/** Adds counts by their names. */
export function sumOf(counts: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const [name, count] of counts.flatMap(Object.entries)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
