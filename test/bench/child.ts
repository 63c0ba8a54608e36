import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Answers, Command } from './protocol.js';

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A producer or a worker in a process of its own. */
export class Child {
  private constructor(private readonly process: ChildProcess) {}

  /**
   * Starts a program and waits until it says that it is ready.
   *
   * @param file the built program. @param env its settings.
   */
  static async start(file: string, env: Record<string, string>, cwd: string): Promise<Child> {
    // Logs are written as in production, where something reads them: here nobody does, and no pipe is in the way.
    const child = fork(file, {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
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
    await Promise.race([once(child, 'message'), ended]);
    return new Child(child);
  }

  /** @returns the answer; null when the program knows no such command. */
  async tell<Name extends Command['do']>(
    command: Extract<Command, { do: Name }>,
  ): Promise<Answers[Name] | null> {
    this.process.send(command);
    const [{ answer, error }] = await once(this.process, 'message');
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
    this.process.kill('SIGKILL');
    await ended;
  }
}
