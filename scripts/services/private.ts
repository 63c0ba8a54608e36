import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Guard, type SpawnOptions, shellWord } from './guard.js';

const START_LIMIT_MS = 120_000;
const POLL_MS = 50;
const ATTEMPTS = 3;

/** How PostgreSQL, Erlang and RabbitMQ's own check of its distribution port say it. */
const PORT_TAKEN = /address already in use|eaddrinuse|dist_port_already_used/i;

class PortTakenError extends Error {}

/** A server that runs in a temporary folder of its own and leaves nothing behind. */
export interface PrivateServer<Addresses> {
  addresses: Addresses;
  /** Ends the server and removes its folder. May be called again. */
  stop(): Promise<void>;
}

/** Where a private server's processes are started, and what they are given. */
export interface Workplace {
  folder: string;
  guard: Guard;
}

/**
 * Starts a server in a new temporary folder. Its ports are free when they are chosen and may be taken before the
 * server has them, so a start that fails over an address in use is made again.
 * @param start starts the processes through the guard, and returns when the server answers
 * @returns what `start` returned, and how to end it all
 * @throws what `start` threw, once everything it had started is gone
 */
export async function startPrivate<Addresses>(
  start: (place: Workplace) => Promise<Addresses>,
): Promise<PrivateServer<Addresses>> {
  for (let attempt = 1; ; attempt++) {
    const place = await openWorkplace();
    try {
      return { addresses: await start(place), stop: () => place.guard.end() };
    } catch (error) {
      await place.guard.end();
      if (attempt === ATTEMPTS || !(error instanceof PortTakenError)) throw error;
    }
  }
}

/**
 * Makes a temporary folder and a guard that removes it.
 * @param afterwards shell command for the guard to run once every process is gone
 */
export async function openWorkplace(afterwards = ':'): Promise<Workplace> {
  const folder = await mkdtemp(join(tmpdir(), 'warren-'));
  return { folder, guard: new Guard(`${afterwards}; rm -rf ${shellWord(folder)}`) };
}

/**
 * Starts one process and waits for it to do its work.
 * @param done asked again and again while the process runs: throws as long as the process is not ready.
 *   Without it the process is waited for, and must exit with 0.
 * @returns the process
 * @throws Error with the end of what the process printed, when it exits too soon or is not ready in two minutes
 */
export async function run(
  { folder, guard }: Workplace,
  [file, ...args]: [string, ...string[]],
  options: Omit<SpawnOptions, 'output'> & { logFile: string },
  done?: () => Promise<void>,
): Promise<ChildProcess> {
  const { logFile, ...spawnOptions } = options;
  const output = openSync(join(folder, logFile), 'a');
  const child = guard.spawn(file, args, { cwd: folder, ...spawnOptions, output });
  closeSync(output);
  const ended = outcome(child);
  try {
    const early = done ? await Promise.race([ended, answers(done, ended)]) : await ended;
    if (early !== undefined && (done || early !== 'exited with 0')) throw new Error(early);
    return child;
  } catch (error) {
    const printed = await readFile(join(folder, logFile), 'utf8').catch(() => '');
    const tail = printed.trimEnd().split('\n').slice(-30).join('\n');
    const message = `${file} ${(error as Error).message}\n${tail}`;
    throw PORT_TAKEN.test(printed) ? new PortTakenError(message) : new Error(message);
  }
}

/** Resolves with how the process ended, whatever that was. */
function outcome(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`cannot be run: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`exited with ${signal ?? code}`));
  });
}

async function answers(done: () => Promise<void>, ended: Promise<string>): Promise<undefined> {
  const deadline = Date.now() + START_LIMIT_MS;
  let gone = false;
  void ended.then(() => {
    gone = true;
  });
  while (!gone) {
    try {
      return void (await done());
    } catch (error) {
      if (Date.now() > deadline)
        throw new Error(`is not ready after two minutes: ${(error as Error).message}`);
    }
    await pause(POLL_MS);
  }
}
