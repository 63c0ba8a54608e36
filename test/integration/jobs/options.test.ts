import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { Batches, BatchesModule } from '#batches';
import { defineJob, nextJob } from '#jobs';
import { BulkStore, DeadJobStore, InputError, JobQueries, JobStore, QueueStore } from '#records';
import { type Environment, givenEnvironment, givenProducer, type Producer } from '#testing/services';

const Note = defineJob({ name: 'note.take', queue: 'note', payload: z.unknown(), priorities: true });
let environment: Environment;
let producer: Producer;

beforeAll(async () => {
  environment = await givenEnvironment([Note]);
  producer = await givenProducer(environment, {
    contracts: [Note],
    withBroker: false,
    imports: [BatchesModule],
  });
});
afterAll(async () => {
  await producer?.close();
  await environment?.close();
});

const texts = ['', 'a\0b', '\ud800', 'x'.repeat(5_000), null, 7, {}, Symbol('x')];
const times = [new Date('x'), new Date(8.64e15), new Date(-8.64e15), '2030-01-01', 0, null];
const spans = ['soon', '', null, {}, -1, '0s', '25d'];
const growth = { attempts: 3, first: '5s' };
const retries = [
  ...[
    '5s',
    null,
    7,
    {},
    ['soon'],
    ['0s'],
    [7, null],
    { ...growth, attempts: 0 },
    { attempts: 3, delay: () => 5 },
  ],
  ...[
    { ...growth, first: 'soon' },
    { ...growth, factor: 0 },
    { ...growth, max: '1s' },
    { ...growth, jitter: 2 },
  ],
];
const delays = [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300, '1 hour', '999999999999d', '', {}, null];

/** The ways to enqueue, each with the options that it knows. */
const WAYS: [known: RegExp, enqueue: (options: never) => Promise<unknown>][] = [
  [/./, async (options) => producer.jobs.enqueue(Note, {}, options)],
  [/^(?!unique|priority|debounce)/, async (given) => producer.app.get(Batches).enqueue(Note, [{}], given)],
  [
    /^(queue|delay|retry|timeout|startWithin)$/,
    async (options) => producer.jobs.enqueue(Note, {}, { next: nextJob(Note, {}, options) }),
  ],
];

test.each<[string, string, unknown[]]>([
  ['idempotencyKey', 'idempotencyKey', texts],
  ['client', 'client', texts.slice(1)],
  ['unique', 'unique.key', ['x', 7, {}, null]],
  ['unique.key', 'unique.key', [...texts, undefined]],
  ['unique.for', 'unique.for', delays],
  ['debounce.key', 'debounce.key', [...texts, undefined]],
  ['debounce.delay', 'debounce.delay', [...delays, undefined]],
  ['debounce.max', 'debounce.max', [...delays, '999ms']],
  ['queue', 'queue', texts],
  ['runAt', 'runAt', times],
  ['delay', 'delay', delays],
  ['retry', 'retry', retries],
  ['timeout', 'timeout', spans],
  ['startWithin', 'startWithin', [...spans.slice(0, -1), '366d']],
  ['priority', 'priority', ['urgent', 'a,b', '', 7, {}]],
])(
  'what the option %s cannot be is told by its name, and nothing is enqueued',
  async (path, option, values) => {
    for (const value of values) {
      const [name, part] = path.split('.') as [string, string | undefined];
      const given = part ? { key: 'k', ...(name === 'debounce' && { delay: '1s' }), [part]: value } : value;
      const options = { ...(name === 'client' && { idempotencyKey: 'k' }), [name]: given } as never;
      for (const [, enqueue] of WAYS.filter(([known]) => known.test(name))) {
        const failure = await enqueue(options).then(String, (error: Error) => error);
        expect(failure).toBeInstanceOf(InputError);
        expect((failure as Error).message).toMatch(new RegExp(`^${option} `));
      }
    }
    expect(await environment.sql('select from jobs')).toEqual([]);
  },
);

test('what is looked for or changed by a text that cannot be is told as a mistake, not as a raw error', async () => {
  const { app } = producer;
  const ways = [
    () => app.get(JobQueries).find('a\0b'),
    () => app.get(JobQueries).list({ name: 'a\0b', limit: 1 }),
    () => app.get(JobStore).cancel(['no id']),
    () => app.get(BulkStore).reschedule({ ids: ['no id'] }, { delayMs: 1 }),
    () => app.get(DeadJobStore).replay({ error: '\0' }),
    () => app.get(QueueStore).pause('a\0b'),
  ];
  for (const way of ways) await expect(way()).rejects.toBeInstanceOf(InputError);
});
