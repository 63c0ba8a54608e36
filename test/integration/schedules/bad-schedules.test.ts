import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { defineJob, type Handler, JobHandler } from '#jobs';
import { defineSchedule, SchedulesModule } from '#schedules';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker } from '#testing/services';
import { KeptLines } from '../../support/kept-lines.js';

const Note = defineJob({ name: 'note.take', queue: 'note', payload: z.unknown(), retry: [] });

@JobHandler(Note)
class NoteHandler implements Handler<typeof Note> {
  async handle() {}
}

const everySecond = { cron: '* * * * * *', job: Note };
const schedules = [
  defineSchedule({ ...everySecond, name: 'a.bad', payload: { text: 'a\0b' } }),
  defineSchedule({ ...everySecond, name: 'b.good', payload: { text: 'fine' } }),
];

let environment: Environment;
let close = async () => {};

beforeAll(async () => {
  ({ environment, close } = await givenProducerAndWorker({
    contracts: [Note],
    handlers: [NoteHandler],
    imports: [SchedulesModule.forRoot({ schedules }), KeptLines],
  }));
});
afterAll(async () => {
  Logger.overrideLogger(false);
  await close();
});

test('a schedule that cannot be stored keeps no other from firing', async () => {
  await eventually(() =>
    environment.sql(`select from schedules where name = 'b.good'`).then(({ length }) => length),
  );
  await eventually(() =>
    environment.sql(`select from jobs where payload ->> 'text' = 'fine'`).then(({ length }) => length),
  );
  expect(await environment.sql(`select from schedules where name = 'a.bad'`)).toEqual([]);
  expect(KeptLines.lines).toContainEqual(expect.stringMatching(/Schedule a\.bad cannot fire/));
});
