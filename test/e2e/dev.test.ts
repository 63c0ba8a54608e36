import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { WebSocket } from 'undici';
import { eventually } from '#testing';
import { freePorts } from '../../scripts/services/addresses.js';
import { type Clone, givenClone } from '../support/clone.js';

/** A machine that does much else takes its time to start a broker and to compile. */
const LIMIT_MS = 240_000;
jest.setTimeout(LIMIT_MS);

const HANDLER = 'apps/worker/src/handlers/bake-trial.handler';
/** What the generated handler says, and what is written in its place. */
const ANSWER = 'return { done: 1 };';
/** Of the command, and so of all that it starts. */
const mark = `WARREN_DEV_TEST=${randomUUID()}`;

let clone: Clone;
let command: ChildProcess;
let output = '';
let port: number;
let inspector: number;

beforeAll(async () => {
  clone = await givenClone();
  const [api, worker, debuggers] = (await freePorts(3)) as [number, number, number];
  [port, inspector] = [api, debuggers];
  const [name, value] = mark.split('=') as [string, string];
  const { PATH, HOME } = process.env;
  // A process group of its own, as a terminal makes one: Ctrl-C reaches npm and all that is in the group.
  command = spawn('npm', ['run', 'dev', '--silent', '--', '--inspect', String(inspector)], {
    cwd: clone.folder,
    env: { PATH, HOME, [name]: value, PORT: String(api), WORKER_PORT: String(worker) },
    detached: true,
  });
  for (const stream of [command.stdout!, command.stderr!]) stream.on('data', (chunk) => (output += chunk));
}, LIMIT_MS);
afterAll(async () => {
  if (command?.exitCode === null && command.signalCode === null) process.kill(-command.pid!, 'SIGKILL');
  await clone?.close();
});

const printed = (text: string | RegExp) =>
  eventually(() => (typeof text === 'string' ? output.includes(text) : text.test(output)), LIMIT_MS).catch(
    (error) => {
      throw new Error(`${text} is not printed (${error.message}):\n${output}`);
    },
  );

/** Enqueues a job until one answers as it should: the code before a change may still run for a while. */
const answers = (done: number) =>
  eventually(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=5' },
      body: JSON.stringify({ name: 'trial.bake', payload: { id: '1' } }),
    });
    const { state, result } = (await response.json()) as { state?: string; result?: { done: number } };
    return state === 'succeeded' && result?.done === done;
  }, LIMIT_MS);

async function rewrite(change: (text: string) => string): Promise<void> {
  const file = join(clone.folder, `${HANDLER}.ts`);
  await writeFile(file, change(await readFile(file, 'utf8')));
}

test('npm run dev starts everything, and says where it is', async () => {
  await printed('Ready: save a file');
  const [, dashboard] = /^Dashboard +(\S+)$/m.exec(output) ?? [];
  if (dashboard) expect((await fetch(dashboard)).ok).toBe(true);
  for (const place of ['Docs', 'Mails']) {
    const [, address] = new RegExp(`^${place} +(\\S+)$`, 'm').exec(output) ?? [];
    if (place === 'Docs' || address) expect((await fetch(address!)).status).toBe(200);
  }
});

test('a job that is generated meanwhile has its queue, and runs; a change runs, too', async () => {
  await clone.succeed(['dist/scripts/generate.js', 'handler', 'trial.bake']);
  await answers(1);
  await rewrite((text) => text.replace(ANSWER, 'return { done: 2 };'));
  await answers(2);
});

test('errors of types and of the start are told; the apps run again when they are mended', async () => {
  await rewrite((text) => `${text}export const wrong: string = 3;\n`);
  await printed(`${HANDLER}.ts(`);
  await printed('1 error in the sources');
  await answers(2);
  await rewrite((text) => text.replace(/export const wrong.*\n/, '').replace('done: 2', 'done: 3'));
  await answers(3);

  await rewrite((text) => `${text}throw new Error('Broken at the start');\n`);
  await printed('Error: Broken at the start');
  await printed('The worker ended with 1. It is started again when a file has changed');
  await rewrite((text) => text.replace(/throw new Error.*\n/, '').replace('done: 3', 'done: 4'));
  await answers(4);
});

test('both apps can be debugged, and a breakpoint is hit in the line of the source', async () => {
  expect((await fetch(`http://127.0.0.1:${inspector}/json/list`)).ok).toBe(true);
  const compiled = await readFile(join(clone.folder, 'dist', `${HANDLER}.js`), 'utf8');
  const source = await readFile(join(clone.folder, `${HANDLER}.ts`), 'utf8');
  const lineOf = (text: string) => text.split('\n').findIndex((line) => line.includes('return { done'));

  const worker = await givenDebugger(inspector + 1);
  await worker.call('Debugger.enable');
  const lineNumber = lineOf(compiled);
  await worker.call('Debugger.setBreakpointByUrl', { urlRegex: `${HANDLER}\\.js$`, lineNumber });
  const paused = worker.event('Debugger.paused');
  const answered = answers(4);
  const { callFrames } = await paused;
  const { lineNumber: line, columnNumber: column } = callFrames[0].location;
  const map = new SourceMap(
    JSON.parse(await readFile(join(clone.folder, 'dist', `${HANDLER}.js.map`), 'utf8')),
  );
  expect(map.findEntry(line, column)).toMatchObject({
    originalSource: expect.stringContaining(`${HANDLER}.ts`),
    originalLine: lineOf(source),
  });
  await worker.call('Debugger.disable');
  worker.close();
  await answered;
});

test('Ctrl-C leaves no process and no service', async () => {
  const [note = ''] = readdirSync(join(clone.folder, '.services'));
  expect(JSON.parse(readFileSync(join(clone.folder, '.services', note), 'utf8')).command).toBe('npm run dev');
  expect(marked().length).toBeGreaterThan(3);
  process.kill(-command.pid!, 'SIGINT');
  await once(command, 'exit');
  await eventually(() => marked().length === 0);
  expect(readdirSync(join(clone.folder, '.services'))).toEqual([]);
});

/** The processes that were started by the command, itself among them. */
function marked(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark);
    } catch {
      // It has ended, or is somebody else's.
      return false;
    }
  });
}

/** What a debugger says to the inspector of a process, and hears from it. */
async function givenDebugger(at: number) {
  const [target] = (await (await fetch(`http://127.0.0.1:${at}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(target!.webSocketDebuggerUrl);
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  // biome-ignore lint/suspicious/noExplicitAny: whatever the inspector says
  const heard: any[] = [];
  socket.addEventListener('message', ({ data }) => heard.push(JSON.parse(data)));
  let id = 0;
  return {
    call: async (method: string, params = {}) => {
      id += 1;
      socket.send(JSON.stringify({ id, method, params }));
      return eventually(() => heard.find((message) => message.id === id));
    },
    event: (method: string) =>
      eventually(() => heard.find((message) => message.method === method)?.params, LIMIT_MS),
    close: () => socket.close(),
  };
}
