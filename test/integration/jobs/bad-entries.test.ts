import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler } from '#jobs';
import { DeadJobStore, JobQueries, JobStore, Retention } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';
import { KeptLines } from '../../support/kept-lines.js';

const Note = defineJob({ name: 'note.take', queue: 'note', payload: z.unknown(), retry: [] });
const Other = defineJob({ name: 'other.take', queue: 'other', payload: z.unknown(), retry: [] });

@JobHandler(Note)
class NoteHandler implements Handler<typeof Note> {
  async handle({ payload, progress, signal }: JobContext<typeof Note>) {
    const { fraction, dies } = (payload ?? {}) as { fraction?: number; dies?: boolean };
    if (dies) throw new Error('as it should');
    if (fraction === undefined) return;
    progress(fraction, 'here');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }
}
@JobHandler(Other)
class OtherHandler implements Handler<typeof Other> {
  async handle() {}
}

let environment: Environment;
let producer: Producer;
let close = async () => {};

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({
    contracts: [Other, Note],
    handlers: [NoteHandler, OtherHandler],
    imports: [KeptLines],
  }));
});
afterAll(async () => {
  Logger.overrideLogger(false);
  await close();
});

test('progress that PostgreSQL cannot hold keeps nobody else’s from being kept', async () => {
  const [tiny, half] = await producer.jobs.enqueueMany(Note, [{ fraction: 1e-50 }, { fraction: 0.5 }]);
  const progressOf = async (id: string) => (await producer.app.get(JobQueries).find(id))?.progress;
  await eventually(async () => (await progressOf(half!.id)) === 0.5 && (await progressOf(tiny!.id)) === 0);
  await producer.app.get(JobStore).cancel([tiny!.id, half!.id]);
});

test('a dead-letter queue that is gone is named, and the others are kept as the records say', async () => {
  const { id } = await producer.jobs.enqueue(Note, { dies: true });
  await eventually(async () => (await environment.countReady('note.dead')) === 1);
  await environment.management('DELETE', '/queues/{vhost}/other.dead');
  await producer.app.get(DeadJobStore).discard({ ids: [id] });
  await eventually(async () => (await environment.countReady('note.dead')) === 0, 30_000);
  expect(KeptLines.lines).toContainEqual(
    expect.stringMatching(/Cannot check the dead-letter queue of other/),
  );
});

test('a row that cannot be deleted keeps nothing else from being pruned, and the failure names its table', async () => {
  await environment.sql(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$`);
  await environment.sql('create trigger refuse before delete on jobs for each row execute function refuse()');
  await environment.sql(
    `update jobs set state = 'succeeded', finished_at = now() - interval '2 days', run_at = now() - interval '2 days'`,
  );
  await environment.sql(`insert into workers (name, seen_at) values ('gone', now() - interval '2 days')`);
  const before = await environment.sql(`select from workers where name = 'gone'`);
  const ages = { succeeded: 3_600_000, cancelled: 0, discarded: 0, others: 3_600_000 };
  const prune = async () => {
    for await (const _ of producer.app.get(Retention).prune(ages));
  };
  await expect(prune()).rejects.toThrow(/table jobs .*not this one/);
  expect([before.length, await environment.sql(`select from workers where name = 'gone'`)]).toEqual([1, []]);
});
