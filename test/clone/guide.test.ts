import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Environment, eventually, freePort, givenEnvironment } from '#testing';
import { type Clone, givenClone } from '../support/clone.js';

/**
 * docs/guide.md, done as it says: `sh` blocks are run, `ts` blocks are written to the file that their first line names,
 * and a `json` block is what the call before it answers, where `…` stands for anything. `services` and `start` are left
 * running, and ended by Ctrl-C before they are started again. The blocks for Docker are run by `npm run test:docker`.
 */
const BLOCK = /^```(\S+) ?(\S*)\n(.*?)^```$/gms;

interface Block {
  language: string;
  kind: string;
  text: string;
}

let clone: Clone;
let environment: Environment;
let blocks: Block[];
let ports: Record<'PORT' | 'WORKER_PORT', string>;
const running = new Map<string, ChildProcess>();

beforeAll(async () => {
  clone = await givenClone();
  environment = await givenEnvironment();
  const [api, worker] = await Promise.all([freePort(), freePort()]);
  ports = { PORT: String(api), WORKER_PORT: String(worker) };
  const guide = await clone.read('docs/guide.md');
  blocks = [...guide.matchAll(BLOCK)].map(([, language, kind, text]) => ({ language, kind, text }) as Block);
}, 120_000);
afterAll(async () => {
  for (const kind of running.keys()) await interrupt(kind);
  await environment?.close();
  await clone?.close();
});

test('whoever follows the guide has a job that ran, failed, was repaired and replayed', async () => {
  let call = '';
  for (const { language, kind, text } of blocks) {
    try {
      if (language === 'ts') await write(text);
      else if (language === 'json') await answers(call, JSON.parse(text));
      else if (kind === 'services' || kind === 'start') await start(kind, text);
      else if (text.startsWith('curl')) call = text;
      // The packages are there already.
      else if (kind !== 'docker' && text !== 'npm ci\n') await run(text);
    } catch (error) {
      throw new Error(`${text}\n${(error as Error).message}`, { cause: error });
    }
  }
  expect(blocks.filter(({ language }) => language === 'json')).toHaveLength(6);
}, 300_000);

async function write(text: string): Promise<void> {
  const [, path = ''] = /^\/\/ (\S+)\n/.exec(text) ?? [];
  const file = join(clone.folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** Runs what stands before a `json` block. What only looks is repeated until it sees what the guide says. */
async function answers(call: string, expected: object): Promise<void> {
  const anything = (value: unknown): unknown => {
    if (value === '…') return expect.anything();
    if (Array.isArray(value)) return value.map(anything);
    if (typeof value !== 'object' || value === null) return value;
    return expect.objectContaining(
      Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, anything(inner)])),
    );
  };
  const ask = async () => {
    expect(JSON.parse(await run(call))).toEqual(anything(expected));
    return true;
  };
  await (/ -d /.test(call) ? ask() : eventually(ask));
}

async function start(kind: string, command: string): Promise<void> {
  await interrupt(kind);
  const child = shell(command);
  running.set(kind, child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(output);
    return kind === 'start'
      ? output.includes('Ready: ')
      : (await clone.read('.env')).includes('DATABASE_URL');
  });
}

/** Ctrl-C, which reaches everything that a terminal's command has started. */
async function interrupt(kind: string): Promise<void> {
  const child = running.get(kind);
  running.delete(kind);
  if (!child || child.exitCode !== null) return;
  const ended = once(child, 'exit');
  process.kill(-(child.pid as number), 'SIGINT');
  await ended;
}

/** Runs a command to its end. @returns what it wrote to its standard output. */
async function run(command: string): Promise<string> {
  const child = shell(command);
  let output = '';
  let errors = '';
  child.stdout?.on('data', (chunk) => (output += chunk));
  child.stderr?.on('data', (chunk) => (errors += chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`ended with ${code}:\n${output}${errors}`);
  return output;
}

function shell(command: string): ChildProcess {
  const { PATH, HOME } = process.env;
  const addresses = {
    RABBITMQ_URL: environment.rabbitmqUrl,
    RABBITMQ_MANAGEMENT_URL: process.env.WARREN_TEST_RABBITMQ_MANAGEMENT_URL,
    DATABASE_URL: environment.databaseUrl,
  };
  return spawn('sh', ['-c', command.replaceAll('localhost:3000', `localhost:${ports.PORT}`)], {
    cwd: clone.folder,
    env: { PATH, HOME, ...addresses, ...ports },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
