import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 as uuid } from 'uuid';
import { z } from 'zod';
import {
  defineJob,
  type Handler,
  type JobContext,
  JobHandler,
  type JobToEnqueue,
  job,
  NonRetryableError,
  secret,
} from '#jobs';
import { DeadJobStore, JobQueries, QueueStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Tell = defineJob({
  name: 'operator.tell',
  queue: 'telling',
  payload: z.object({
    id: z.string(),
    name: z.string(),
    payload: z.unknown(),
    message: z.string(),
    attempts: z.int(),
  }),
  retry: [],
});
const Work = defineJob({
  name: 'work.do',
  queue: 'work',
  payload: z.object({ how: z.string(), code: secret(z.string()).optional() }),
  result: z.null(),
  retry: ['100ms'],
  onDead: ({ error, ...dead }) => job(Tell, { ...dead, message: error.message }),
});
const Way = z.enum(['throws', 'promise', 'nonsense', 'misfit', 'unique', 'queue', 'nothing', 'later']);
const Odd = defineJob({
  name: 'work.odd',
  queue: 'work',
  payload: Way,
  retry: [],
  onDead: ({ payload }) => odd[payload as 'throws'](),
});
/** Its death makes the next one, which dies, too. */
const Again: ReturnType<typeof again> = again(() => job(Again, null));
function again(onDead: () => JobToEnqueue) {
  return defineJob({ name: 'work.again', queue: 'work', payload: z.null(), retry: [], onDead });
}
/** Without an `onDead` of its own. */
const Plain = defineJob({ name: 'work.plain', queue: 'work', payload: z.unknown(), retry: [] });
const Alarm = defineJob({
  name: 'alarm.ring',
  queue: 'telling',
  payload: z.object({ name: z.string() }),
  retry: [],
});

const told = { id: '', name: '', payload: null, message: '', attempts: 1 };
const odd: Record<z.output<typeof Way>, () => JobToEnqueue | undefined> = {
  throws: () => {
    throw new Error('no operator');
  },
  promise: () => Promise.reject(new Error('nobody waits for this')) as never,
  nonsense: () => ({ contract: 'Tell' }) as never,
  misfit: () => job(Tell, { ...told, id: 7 } as never),
  unique: () => job(Tell, told, { unique: { key: 'x' } }),
  queue: () => job(Tell, told, { queue: 'none' }),
  nothing: () => undefined,
  later: () => job(Tell, { ...told, id: 'later' }, { delay: '1h', retry: ['1s', '2s'], tags: ['own'] }),
};

@JobHandler(Work)
class WorkHandler implements Handler<typeof Work> {
  handle({ payload: { how, code } }: JobContext<typeof Work>) {
    if (how === 'for good') throw new NonRetryableError(`no, ${code}`);
    if (how === 'with a result that does not fit') return 'x' as never;
    if (how === 'fine') return null;
    throw new Error(`not ${how}`);
  }
}
const failing = (contract: Parameters<typeof JobHandler>[0]) => {
  @JobHandler(contract)
  class FailingHandler {
    handle(): never {
      throw new Error('no');
    }
  }
  return FailingHandler;
};
@JobHandler(Tell)
class TellHandler implements Handler<typeof Tell> {
  handle() {}
}

let environment: Environment;
let producer: Producer;
let close = async () => {};
const view = (id: string) => producer.app.get(JobQueries).find(id);
const dead = (id: string) =>
  eventually(async () => {
    const job = await view(id);
    return job?.state === 'dead' ? job : undefined;
  });
const tellings = (id: string) =>
  environment.sql<{ payload: z.output<typeof Tell.payload>; traceparent: string; tags: string[] | null }>(
    `select payload, tags from jobs where name = 'operator.tell' and payload ->> 'id' = $1`,
    [id],
  );
const countOf = async (name: string) =>
  (await environment.sql(`select from jobs where name = $1`, [name])).length;

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({
    contracts: [Tell, Work, Odd, Again, Plain, Alarm],
    handlers: [WorkHandler, TellHandler, ...[Odd, Again, Plain, Alarm].map(failing)],
    settings: { HOLD_UNKNOWN: 300 },
    onDead: ({ name }) => job(Alarm, { name }),
  }));
});
afterAll(() => close());

/** Makes jobs die, each in its way. */
const WAYS: Record<string, () => Promise<string>> = {
  'its last attempt': async () => (await producer.jobs.enqueue(Work, { how: 'plainly' })).id,
  'a NonRetryableError': async () =>
    (await producer.jobs.enqueue(Work, { how: 'for good', code: 'geheim' })).id,
  'a result that does not fit': async () =>
    (await producer.jobs.enqueue(Work, { how: 'with a result that does not fit' })).id,
  'a payload that does not fit': async () => {
    const messageId = uuid();
    await environment.publish(Work.name, '{"how":7}', { messageId, type: Work.name });
    return messageId;
  },
  'being held too long': async () => {
    const messageId = uuid();
    const headers = { 'x-version': 7 };
    await environment.publish(Work.name, '{"how":"new"}', { messageId, type: Work.name, headers });
    return messageId;
  },
  'too many crashes': async () => {
    const { id } = await producer.jobs.enqueue(Work, { how: 'fine' }, { delay: '1h' });
    await environment.sql(`update jobs set crashes = 3, run_at = now(), publish_at = now() where id = $1`, [
      id,
    ]);
    return id;
  },
  'a start that came too late': async () => {
    await pause();
    return (await producer.jobs.enqueue(Work, { how: 'late' }, { startWithin: '100ms' })).id;
  },
  'the broker, which gave it up': async () => {
    await pause();
    const { id } = await producer.jobs.enqueue(Work, { how: 'given up' });
    await environment.publishTo('jobs.dead', 'work', '{}', { messageId: id, type: Work.name });
    return id;
  },
};
async function pause() {
  await producer.app.get(QueueStore).pause('work');
  await eventually(async () => (await environment.countConsumers('work')) === 0);
}

test.each(Object.keys(WAYS))('a job that is dead by %s is followed by one job', async (way) => {
  const id = await WAYS[way]!();
  const { attempt, error, payload } = await dead(id);
  await producer.app.get(QueueStore).resume('work');
  const [telling, ...more] = await tellings(id);
  expect(more).toEqual([]);
  expect(telling!.payload).toEqual({
    id,
    name: Work.name,
    payload,
    message: error!.message,
    attempts: attempt,
  });
  expect(JSON.stringify(telling)).not.toContain('geheim');
  expect(error).not.toHaveProperty('onDead');
});

test('each death counts once: a job that is replayed and dies again is followed by one more', async () => {
  const { id } = await producer.jobs.enqueue(Work, { how: 'plainly' }, { tags: ['tenant:acme'] });
  await dead(id);
  await producer.app.get(DeadJobStore).replay({ ids: [id] });
  await eventually(async () => (await tellings(id)).length === 2);
  expect((await dead(id)).attempts).toHaveLength(4);
  expect(await tellings(id)).toEqual(Array(2).fill(expect.objectContaining({ tags: ['tenant:acme'] })));
});

test.each<[z.output<typeof Way>, RegExp]>([
  ['throws', /^Error: no operator$/],
  ['promise', /must not be asynchronous/],
  ['nonsense', /return job\(Contract, payload\)/],
  ['misfit', /payload\/id/],
  ['unique', /neither a unique nor a debounce key/],
  ['queue', /No contract has the queue "none"/],
])(
  'an onDead that goes wrong (%s) keeps no job from being dead, and its record says so',
  async (how, said) => {
    const { error } = await dead((await producer.jobs.enqueue(Odd, how)).id);
    expect(error).toMatchObject({ message: 'no', onDead: expect.stringMatching(said) });
  },
);

test('an onDead may name no job, or one with options', async () => {
  expect((await dead((await producer.jobs.enqueue(Odd, 'nothing')).id)).error).not.toHaveProperty('onDead');
  await dead((await producer.jobs.enqueue(Odd, 'later')).id);
  const [later] = await environment.sql(
    `select state, max_attempts, tags, previous from jobs where payload ->> 'id' = 'later'`,
  );
  expect(later).toEqual({ state: 'scheduled', max_attempts: 3, tags: ['own'], previous: null });
});

test('the one for all follows where a contract has none, and never a job that it has made', async () => {
  const before = await countOf(Alarm.name);
  await dead((await producer.jobs.enqueue(Plain, {})).id);
  const [alarm] = await environment.sql<{ id: string }>(
    `select id from jobs where name = $1 order by id desc limit 1`,
    [Alarm.name],
  );
  expect((await dead(alarm!.id)).error).not.toHaveProperty('onDead');
  expect(await countOf(Alarm.name)).toBe(before + 1);
});

test('a job that follows its own death comes to an end', async () => {
  await producer.jobs.enqueue(Again, null);
  await eventually(async () => {
    const ended = `select from jobs where name = $1 and attempts -> -1 -> 'error' ? 'onDead'`;
    return (await environment.sql(ended, [Again.name])).length === 1;
  }, 30_000);
  expect(await countOf(Again.name)).toBe(11);
});
