import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type INestApplicationContext, Logger, Module } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';
import { Batches, BatchesModule } from '#batches';
import { defineJob, type Handler, type JobContext, JobHandler, nextJob } from '#jobs';
import { DeadRecords, Records, Retention, Views } from '#records';
import { defineSchedule, SchedulesModule } from '#schedules';
import { type Environment, eventually, givenProducerAndWorker, type Producer } from '#testing';

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

const everySecond = { cron: '* * * * * *', job: Note };
const schedules = [
  defineSchedule({ ...everySecond, name: 'a.bad', payload: { text: 'a\0b' } }),
  defineSchedule({ ...everySecond, name: 'b.good', payload: { text: 'fine' } }),
];

let environment: Environment;
let producer: Producer;
let worker: INestApplicationContext;
let close = async () => {};
const lines: string[] = [];

/** Keeps what a worker logs: it begins to as soon as it is made. */
@Module({})
class KeepLines {
  constructor() {
    const keep = (line: unknown) => lines.push(typeof line === 'string' ? line : JSON.stringify(line));
    Logger.overrideLogger({ log: keep, warn: keep, error: keep });
  }
}

beforeAll(async () => {
  ({ environment, producer, worker, close } = await givenProducerAndWorker({
    contracts: [Other, Note],
    handlers: [NoteHandler, OtherHandler],
    imports: [BatchesModule.forWorker(), SchedulesModule.forRoot({ schedules }), KeepLines],
  }));
});
afterAll(async () => {
  Logger.overrideLogger(false);
  await close();
});

const stateOf = async (id: string) => (await producer.app.get(Views).find(id))?.state;

test('a schedule that cannot be stored keeps no other from firing', async () => {
  await eventually(() =>
    environment.sql(`select from schedules where name = 'b.good'`).then(({ length }) => length),
  );
  await eventually(() =>
    environment.sql(`select from jobs where payload ->> 'text' = 'fine'`).then(({ length }) => length),
  );
  expect(await environment.sql(`select from schedules where name = 'a.bad'`)).toEqual([]);
  expect(lines).toContainEqual(expect.stringMatching(/Schedule a\.bad cannot fire/));
});

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
  await eventually(() => lines.some((line) => line.includes(all[0]!.id)));
});

test('progress that PostgreSQL cannot hold keeps nobody else’s from being kept', async () => {
  const [tiny, half] = await producer.jobs.enqueueMany(Note, [{ fraction: 1e-50 }, { fraction: 0.5 }]);
  const progressOf = async (id: string) => (await producer.app.get(Views).find(id))?.progress;
  await eventually(async () => (await progressOf(half!.id)) === 0.5 && (await progressOf(tiny!.id)) === 0);
  await producer.app.get(Records).cancel([tiny!.id, half!.id]);
});

test('a dead-letter queue that is gone is named, and the others are kept as the records say', async () => {
  const { id } = await producer.jobs.enqueue(Note, { dies: true });
  await eventually(async () => (await environment.countReady('note.dead')) === 1);
  await environment.management('DELETE', '/queues/{vhost}/other.dead');
  await producer.app.get(DeadRecords).discard({ ids: [id] });
  await eventually(async () => (await environment.countReady('note.dead')) === 0, 30_000);
  expect(lines).toContainEqual(expect.stringMatching(/Cannot check the dead-letter queue of other/));
});

test('a row that cannot be deleted keeps nothing else from being pruned, and the failure names its table', async () => {
  await environment.sql(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$`);
  await environment.sql('create trigger refuse before delete on jobs for each row execute function refuse()');
  await environment.sql(
    `update jobs set state = 'succeeded', finished_at = now() - interval '2 days', run_at = now() - interval '2 days'`,
  );
  await environment.sql(
    `insert into batches (id, name, total, completed_at) values ($1, 'x', 0, now() - interval '2 days')`,
    [uuidv7()],
  );
  const before = await environment.sql(`select from batches where name = 'x'`);
  const ages = { succeeded: 3_600_000, cancelled: 0, discarded: 0, others: 3_600_000 };
  const prune = async () => {
    for await (const _ of producer.app.get(Retention).prune(ages));
  };
  await expect(prune()).rejects.toThrow(/table jobs .*not this one/);
  expect([before.length, await environment.sql(`select from batches where name = 'x'`)]).toEqual([1, []]);
});
