import { setTimeout as pause } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Contracts, Relay } from '#jobs';
import { Broker } from '#rabbitmq';
import { Records } from '#records';

/** How long to wait for a broker that does not answer yet. */
const BROKER_PATIENCE_MS = 60_000;
/** How often the progress is looked at. */
const LOOK_EVERY_MS = 500;

/**
 * Publishes every unfinished job again, oldest first: the queued, the retrying at their time, and the running whose
 * worker is gone. Scheduled ones stay scheduled. Declares what exchanges and queues are missing, marks the jobs in
 * the records, and helps the workers' relays to publish them; when this is killed, those go on alone.
 *
 * @throws TopologyError, DatabaseUnavailableError
 */
export async function rebuild(app: INestApplicationContext, { json }: { json?: boolean }): Promise<void> {
  const [broker, records, relay] = [app.get(Broker), app.get(Records), app.get(Relay)];
  const say = (line: string) => process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);

  say('Waiting for the broker');
  await broker.declare(app.get(Contracts).topology, AbortSignal.timeout(BROKER_PATIENCE_MS));
  const newest = uuidv7();
  const owed = await records.oweAll((count) => say(`${count} unfinished jobs found`));
  relay.start();
  for (let left = await records.owedUpTo(newest); left > 0; left = await records.owedUpTo(newest)) {
    say(`${left} jobs to publish`);
    await pause(LOOK_EVERY_MS);
  }
  await relay.stop();
  say('');
  process.stdout.write(
    json ? `${JSON.stringify({ published: owed })}\n` : `Published ${owed} unfinished jobs again\n`,
  );
}
