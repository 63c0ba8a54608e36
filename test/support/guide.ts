import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from '@jest/globals';
import { eventually } from '#testing';
import type { Clone } from './clone.js';

const BLOCK = /^```(\S+) ?(\S*)\n(.*?)^```$/gms;

/**
 * docs/guide.md, or a part of another page, done as it says, in a clone: `sh` blocks are run; `ts` and `sql` blocks are
 * written to the file that their first line names; `diff` blocks add lines to it, each below the one above it; and a
 * `json` block is what the call before it answers, where `…` stands for anything. What is marked as `services` or `start`
 * is left running, and ended by Ctrl-C before it is started again; what is marked as `docker` is for those who have
 * Docker, in place of these.
 */
export class Guide {
  private readonly running = new Map<string, ChildProcess>();
  /** What the reader's shell remembers. */
  private exports = '';

  /** @param environment what commands find in theirs; with a `PORT` for the api. @param heading of the part. */
  constructor(
    private readonly clone: Clone,
    private readonly environment: NodeJS.ProcessEnv & { PORT: string },
    private readonly page = 'docs/guide.md',
    private readonly heading = '',
  ) {}

  /** @throws Error with the block that did not do what the guide says. */
  async follow(hasDocker: boolean): Promise<void> {
    const skipped = hasDocker ? ['services', 'start'] : ['docker'];
    let call = '';
    for (const [, language, kind = '', text = ''] of (await this.read()).matchAll(BLOCK)) {
      try {
        if (skipped.includes(kind)) continue;
        if (language === 'ts' || language === 'sql') await this.write(text);
        else if (language === 'diff') await this.add(text);
        else if (language === 'json') await this.answers(call, JSON.parse(text));
        else if (kind === 'services' || kind === 'start') await this.start(kind, text);
        else if (text.startsWith('curl')) call = text;
        else if (text.startsWith('export ')) this.exports += text;
        // The clone has its packages already.
        else if (text !== 'npm ci\n') await this.run(text);
      } catch (error) {
        throw new Error(`${text}\n${(error as Error).message}`, { cause: error });
      }
    }
  }

  /** The guide; of a clone in which it was followed already, with another name for the job that it makes. */
  private async read(): Promise<string> {
    const page = await this.clone.read(this.page);
    const from = page.indexOf(this.heading);
    const to = this.heading ? page.indexOf('\n## ', from + 1) : page.length;
    const guide = page.slice(from, to);
    const isTaken = existsSync(join(this.clone.folder, 'libs/contracts/src/invoice.render.ts'));
    return isTaken ? guide.replace(/invoice/g, 'otherinvoice').replace(/Invoice/g, 'Otherinvoice') : guide;
  }

  /** Ends what it left running. */
  async close(): Promise<void> {
    for (const kind of this.running.keys()) await this.interrupt(kind);
  }

  private async write(text: string): Promise<void> {
    const [, path = ''] = /^(?:\/\/|--) (\S+)\n/.exec(text) ?? [];
    const file = join(this.clone.folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  private async add(text: string): Promise<void> {
    const [first = '', ...changes] = text.trimEnd().split('\n');
    const file = join(this.clone.folder, first.replace('// ', ''));
    const lines = (await readFile(file, 'utf8')).split('\n');
    let at = 0;
    for (const change of changes) {
      if (change.startsWith('+')) lines.splice(at++, 0, change.slice(1));
      else at = lines.findIndex((line) => line.trim() === change.trim()) + 1;
      if (at === 0) throw new Error(`${file} has no line "${change.trim()}"`);
    }
    await writeFile(file, lines.join('\n'));
  }

  /** Runs what stands before a `json` block. What only looks is repeated until it sees what the guide says. */
  private async answers(call: string, expected: object): Promise<void> {
    const ask = async () => {
      expect(JSON.parse(await this.run(call))).toEqual(atLeast(expected));
      return true;
    };
    await (/ -d /.test(call) ? ask() : eventually(ask));
  }

  private async start(kind: string, command: string): Promise<void> {
    await this.interrupt(kind);
    const child = this.shell(command);
    this.running.set(kind, child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(output);
      return output.includes(kind === 'start' ? 'Ready: ' : 'DATABASE_URL');
    }, START_MS);
  }

  /** Ctrl-C, which reaches everything that a terminal's command has started. */
  private async interrupt(kind: string): Promise<void> {
    const child = this.running.get(kind);
    this.running.delete(kind);
    if (!child || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    process.kill(-(child.pid as number), 'SIGINT');
    await ended;
  }

  /** Runs a command to its end. @returns what it wrote to its standard output. */
  private async run(command: string): Promise<string> {
    const child = this.shell(command);
    let output = '';
    let errors = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (errors += chunk));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`ended with ${code}:\n${output}${errors}`);
    return output;
  }

  private shell(command: string): ChildProcess {
    const { PATH, HOME } = process.env;
    return spawn(
      'sh',
      ['-c', this.exports + command.replaceAll('localhost:3000', `localhost:${this.environment.PORT}`)],
      {
        cwd: this.clone.folder,
        env: { PATH, HOME, ...this.environment },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  }
}

/** Builds and starts; on a busy machine that takes its time. */
const START_MS = 120_000;

/** Matches what has all of this and may have more; `…` is anything. */
function atLeast(value: unknown): unknown {
  if (value === '…') return expect.anything();
  if (Array.isArray(value)) return value.map(atLeast);
  if (typeof value !== 'object' || value === null) return value;
  const parts = Object.entries(value).map(([key, part]) => [key, atLeast(part)]);
  return expect.objectContaining(Object.fromEntries(parts));
}
