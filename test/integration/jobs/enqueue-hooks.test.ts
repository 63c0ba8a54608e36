import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { z } from 'zod';
import { Batches, BatchesModule } from '#batches';
import {
  type BeforeEnqueue,
  defineJob,
  EnqueueHook,
  EnqueueRefusedError,
  type JobToCome,
  job,
  nextJob,
} from '#jobs';
import { RecordingJobs } from '#testing';
import { type Environment, givenEnvironment, givenProducer, type Producer } from '#testing/services';

const Note = defineJob({
  name: 'note',
  queue: 'note',
  payload: z.object({ text: z.string(), by: z.string().optional() }),
});

@Injectable()
class Author {
  readonly name = 'ada';
}
const withTag = ({ options }: JobToCome, tag: string) => ({
  options: { ...options, tags: [...(options.tags ?? []), tag] },
});

@EnqueueHook({ order: 2 })
class Second implements BeforeEnqueue {
  beforeEnqueue(job: JobToCome) {
    return withTag(job, 'second');
  }
}
@EnqueueHook({ order: 1 })
class First implements BeforeEnqueue {
  constructor(private readonly author: Author) {}

  beforeEnqueue(job: JobToCome) {
    const { text } = job.payload as { text: string };
    if (text === 'refused') throw new EnqueueRefusedError('not this one');
    return { ...withTag(job, 'first'), payload: { text, by: this.author.name } };
  }
}
@EnqueueHook({ order: 3 })
class Silent implements BeforeEnqueue {
  beforeEnqueue() {
    return undefined;
  }
}
@Module({ providers: [Author, Silent, Second, First] })
class HooksModule {}

let environment: Environment;
let producer: Producer;
beforeAll(async () => {
  environment = await givenEnvironment([Note]);
  producer = await givenProducer(environment, {
    contracts: [Note],
    imports: [HooksModule, BatchesModule],
    withBroker: false,
  });
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

test('hooks are called in order for each job, however it is enqueued, and may change or refuse it', async () => {
  const { jobs, app } = producer;
  const next = nextJob(Note, { text: 'next' });
  const made = await jobs.enqueue(Note, { text: 'one' }, { tags: ['own'], next });
  expect(made).toMatchObject({ payload: { text: 'one', by: 'ada' }, tags: ['own', 'first', 'second'] });
  await jobs.enqueueMany(Note, [{ text: 'many' }]);
  await jobs.enqueueAll([job(Note, { text: 'all' }, { unique: { key: 'k' } })]);
  await app.get(Batches).enqueue(Note, [{ text: 'batch' }], { onComplete: next });
  await expect(jobs.enqueue(Note, { text: 'refused' })).rejects.toThrow('not this one');
  await expect(jobs.enqueueAll([job(Note, { text: 'x' }), job(Note, { text: 'refused' })])).rejects.toThrow();

  const rows = await environment.sql<{
    text: string;
    by: string;
    tags: string[];
    next: { tags: string[] } | null;
  }>(`select payload ->> 'text' as text, payload ->> 'by' as by, tags, next from jobs order by id`);
  expect(rows.map(({ text }) => text)).toEqual(['one', 'many', 'all', 'batch']);
  for (const { by, tags } of rows) expect([by, tags.slice(-2)]).toEqual(['ada', ['first', 'second']]);
  const [batch] = await environment.sql<{ tags: string[] }>(
    `select on_complete -> 'tags' as tags from batches`,
  );
  expect([rows[0]?.next?.tags, batch?.tags]).toEqual([
    ['own', 'first', 'second'],
    ['first', 'second'],
  ]);
});

test('a stand-in has the hooks that it is given, and a hook that is asynchronous is a mistake', async () => {
  const jobs = new RecordingJobs([Note]).use(new Second());
  await jobs.enqueue(Note, { text: 'x' });
  expect(jobs.enqueued(Note)).toMatchObject([{ tags: ['second'] }]);
  jobs.use({ beforeEnqueue: (async () => undefined) as unknown as BeforeEnqueue['beforeEnqueue'] });
  await expect(jobs.enqueue(Note, { text: 'x' })).rejects.toThrow('must be synchronous');
});
