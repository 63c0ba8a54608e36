import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { print, toJson } from './output.js';
import { queueTable } from './queues.js';
import { type Common, command, withTools } from './run.js';
import type { Tools } from './tools.js';
import { readCount } from './values.js';
import { workerTable } from './workers.js';

interface WatchOptions extends Common {
  every: number;
}

/** Overwriting from the top does not flicker, unlike clearing first. */
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CLEAR = `\x1b[2J${HOME}`;

/** Adds the command watch. */
export function addWatch(program: Command): void {
  command(
    program,
    'watch',
    'look at queues and workers, over and over, until Ctrl-C',
    'watch',
    'watch --json --every 10',
  )
    .option('--every <seconds>', 'how often', readCount(3_600), 1)
    .action((options: WatchOptions) => withTools((tools, signal) => watch(tools, signal, options)));
}

async function watch(tools: Tools, signal: AbortSignal, { json, every }: WatchOptions): Promise<void> {
  const isLive = process.stdout.isTTY && !json;
  if (isLive) process.stdout.write(CLEAR);
  while (!signal.aborted) {
    const at = new Date();
    // A failed poll is shown, and the next one may succeed.
    const view = await look(tools).catch((error: Error) => ({ error: error.message }));
    if (json) print(toJson({ at, ...view }));
    else {
      const text = `${at.toISOString()}\n\n${'error' in view ? view.error : draw(view)}\n`;
      if (isLive) process.stdout.write(`${HOME}${text.replaceAll('\n', `${CLEAR_LINE}\n`)}${CLEAR_BELOW}`);
      else print(text);
    }
    await pause(every * 1_000, undefined, { signal }).catch(() => {});
  }
}

async function look(tools: Tools) {
  const [queues, workers] = await Promise.all([tools.queues.list(), tools.workers.list()]);
  return { queues, workers };
}

const draw = ({ queues, workers }: Awaited<ReturnType<typeof look>>) =>
  `${queueTable(queues)}\n\n${workerTable(workers)}`;
