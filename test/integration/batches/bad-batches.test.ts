import { afterAll, beforeAll, test } from '@jest/globals';
import { type INestApplicationContext, Logger } from '@nestjs/common';
import { z } from 'zod';
import { Batches, BatchesModule } from '#batches';
import { defineJob, type Handler, JobHandler, nextJob } from '#jobs';
import { JobQueries } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker } from '#testing/services';
import { KeptLines } from '../../support/kept-lines.js';

const Note = defineJob({ name: 'note.take', queue: 'note', payload: z.unknown(), retry: [] });

@JobHandler(Note)
class NoteHandler implements Handler<typeof Note> {
  async handle() {}
}

let environment: Environment;
let worker: INestApplicationContext;
let close = async () => {};

beforeAll(async () => {
  ({ environment, worker, close } = await givenProducerAndWorker({
    contracts: [Note],
    handlers: [NoteHandler],
    imports: [BatchesModule.forWorker(), KeptLines],
  }));
});
afterAll(async () => {
  Logger.overrideLogger(false);
  await close();
});

const stateOf = async (id: string) => (await worker.get(JobQueries).find(id))?.state;

test('a batch that cannot be completed is named, and keeps no other from it', async () => {
  const batches = worker.get(Batches);
  const options = { delay: '1h', onComplete: nextJob(Note, {}) } as const;
  const all: { id: string; onComplete: string | null }[] = [];
  for (let n = 0; n < 3; n++) all.push(await batches.enqueue(Note, [{}], options));
  await environment.sql(`update batches set on_complete = '{"id": "none", "payload": "{}"}' where id = $1`, [
    all[0]!.id,
  ]);
  await environment.sql(`update jobs set state = 'succeeded' where batch is not null`);
  for (const { onComplete } of all.slice(1))
    await eventually(async () => (await stateOf(onComplete!)) === 'succeeded');
  await eventually(() => KeptLines.lines.some((line) => line.includes(all[0]!.id)));
});
