import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import { Failure, MIGRATION_USER } from './exit.js';
import { answer, progressBar, say } from './output.js';
import { type Common, command, stopIf, withTools } from './run.js';
import type { Tools } from './tools.js';

const BROKER_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 500;

/** Adds the command rebuild. */
export function addRebuild(program: Command): void {
  command(
    program,
    'rebuild',
    'publish every unfinished job again, for example after the broker lost its data',
    'rebuild',
  )
    .addHelpText(
      'after',
      '\nSafe at any time, twice, or killed half-way: a job that is published twice runs once.',
    )
    .action((options: Common) => withTools((...at) => rebuild(...at, options)));
}

/**
 * Declares missing exchanges and queues, makes every unfinished job due but those that are scheduled or running, in the
 * queue of its contract if its own is gone, and helps the workers' relays to publish. If it is killed, they finish alone.
 *
 * @throws TopologyError, DatabaseUnavailableError, Failure
 */
async function rebuild(
  { queues, outbox, relay, contracts, audited }: Tools,
  signal: AbortSignal,
  options: Common,
): Promise<void> {
  const { counted } = await import('#config');
  say('Waiting for the broker');
  const withinTime = AbortSignal.any([signal, AbortSignal.timeout(BROKER_TIMEOUT_MS)]);
  await queues.declare(withinTime).catch((error: Error) => {
    stopIf(signal, 'Interrupted; nothing was done');
    if ((error as { code?: unknown }).code === 403)
      throw new Failure(`The broker user may not declare queues: ${MIGRATION_USER}`);
    throw error.name === 'AbortError' ? new Failure('No broker answers: check RABBITMQ_URL') : error;
  });
  const newest = uuidv7();
  const pending = await audited('rebuild', 'all', () =>
    outbox.republishAll((count) => say(`${counted(count, 'unfinished job')} found`), contracts.homes),
  );
  relay.start();
  const bar = progressBar('Publishing', pending);
  for (let left = await outbox.pendingUpTo(newest); left > 0; left = await outbox.pendingUpTo(newest)) {
    bar.show(Math.max(0, pending - left));
    await pause(POLL_INTERVAL_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
  }
  await queues.bringHome({}, signal);
  await relay.stop();
  bar.end();
  stopIf(signal, 'Interrupted; the relays of the workers publish the rest');
  answer(options, { published: pending }, () => `Published ${counted(pending, 'unfinished job')} again`);
}
