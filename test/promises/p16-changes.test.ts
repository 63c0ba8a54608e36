import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { z } from 'zod';
import type { Duration } from '#config';
import { type AnyContract, Contracts, defineJob, JobHandler, Jobs, nextJob, Queues } from '#jobs';
import { DeadJobStore, JobQueries, OutboxStore, QueueStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenEnvironment, givenProducer, givenWorker } from '#testing/services';

// Each row of the table in docs/upgrading.md: what becomes of the jobs that wait when a contract changes, forward and back.

let environment: Environment;
const closing: (() => Promise<unknown>)[] = [];
/** The jobs that ran, in this order, by their ids. */
let ran: string[] = [];
/** How often each has failed. */
const failed = new Map<string, number>();
/** A job that another program publishes. */
let foreign = '';

beforeEach(() => {
  foreign = crypto.randomUUID();
});
beforeAll(async () => {
  environment = await givenEnvironment([]);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  ran = [];
});
afterAll(() => environment?.close());

const payload = z.object({ fails: z.int().default(0) });
type Definition = Pick<
  Parameters<typeof defineJob>[0],
  'name' | 'queue' | 'movedFrom' | 'retry' | 'priorities'
>;
const job = (definition: Definition) => defineJob({ retry: [], ...definition, payload });

/** Fails as often as the payload asks for. */
function handlerOf(contract: AnyContract): Type {
  class RecordingHandler {
    handle({ id, payload: { fails } }: { id: string; payload: { fails: number } }) {
      const before = failed.get(id) ?? 0;
      failed.set(id, before + 1);
      if (before < fails) throw new Error('not yet');
      ran.push(id);
    }
  }
  JobHandler(contract)(RecordingHandler);
  return RecordingHandler;
}

/** What a version of the code brings: the migration, a producer with what the operator has, and workers when asked for. */
async function given(...contracts: AnyContract[]) {
  const { jobs, app, close } = await givenProducer(environment, { contracts });
  closing.push(close);
  const queues = app.get(Queues);
  const homes = app.get(Contracts).homes;
  return {
    jobs,
    queues,
    store: app.get(QueueStore),
    dead: app.get(DeadJobStore),
    migrate: () => queues.declare(),
    enqueue: async (
      contract: AnyContract,
      given: object = {},
      options: Parameters<Jobs['enqueue']>[2] = {},
    ) => (await jobs.enqueue(contract, given, options)).id,
    find: async (id: string) => (await app.get(JobQueries).find(id))!,
    queue: async (name: string) => (await queues.list()).find(({ queue }) => queue === name),
    /** What `npm run jobs -- rebuild` does beside publishing, which the relays of the workers do. */
    rebuild: async () => {
      await queues.declare();
      await app.get(OutboxStore).republishAll(undefined, homes);
      await queues.bringHome();
    },
    work: async (settings?: Parameters<typeof givenWorker>[1]['settings']) => {
      const worker = await givenWorker(environment, {
        contracts,
        settings,
        handlers: contracts.map(handlerOf),
      });
      closing.push(() => worker.close().catch(() => {}));
      return worker;
    },
  };
}
type Version = Awaited<ReturnType<typeof given>>;

const untilState = (version: Version, id: string, state: string) =>
  eventually(async () => (await version.find(id)).state === state, 20_000);
const untilRan = (...ids: string[]) => eventually(() => ids.every((id) => ran.includes(id)), 20_000);
const ready = (queue: string) => environment.countReady(queue);
const adviceOf = async (version: Version, queue: string) => (await version.queue(queue))?.advice;

test('P16: jobs of a queue that moved are served from it: those that wait, are paused, scheduled, of a priority, between attempts, or dead', async () => {
  const [before, after] = [
    job({ name: 'move.work', queue: 'move-a', retry: ['2s'], priorities: true }),
    job({ name: 'move.work', queue: 'move-b', retry: ['2s'], priorities: true, movedFrom: 'move-a' }),
  ] as const;
  const [old, now] = [await given(before), await given(after)];
  await old.migrate();
  const worker = await old.work();
  const dead = await old.enqueue(before, { fails: 2 });
  await untilState(old, dead, 'dead');
  const retrying = await old.enqueue(before, { fails: 1 });
  await untilState(old, retrying, 'retrying');
  await worker.close();
  await old.store.pause('move-a');
  const waiting = [
    await old.enqueue(before),
    await old.enqueue(before, {}, { priority: 'high' }),
    await old.enqueue(before, {}, { delay: '1s' }),
  ];
  await eventually(async () => (await ready('move-a')) === 1 && (await ready('move-a.high')) === 1);

  await now.migrate();
  const newWorker = await now.work({ WORKER_QUEUES: ['move-b'] });
  const moved = await now.enqueue(after);
  await untilRan(moved);
  expect(await now.queue('move-a')).toMatchObject({ paused: true, dead: 1, advice: null });
  for (const id of waiting) expect(ran).not.toContain(id);
  expect(await now.queue('move-b')).toMatchObject({ paused: false, advice: null });
  await now.store.resume('move-a');
  await untilRan(...waiting, retrying);

  // A dead letter is replayed where it is; then the former queue is empty, and what is left to do is said.
  expect(await now.dead.replay({ queue: 'move-a' })).toBe(1);
  await untilState(now, dead, 'succeeded');
  await eventually(async () =>
    /empty: take it out of movedFrom of move\.work/.test(`${await adviceOf(now, 'move-a')}`),
  );
  await newWorker.close();
  const last = await given(job({ name: 'move.work', queue: 'move-b', retry: ['2s'], priorities: true }));
  await last.work();
  await eventually(async () =>
    (await adviceOf(last, 'move-a'))?.endsWith('npm run jobs -- queues delete move-a`'),
  );
});

test('P16: what is published by the name of a contract that moved comes once, to where old workers serve it with movedFrom', async () => {
  const at = (queue: string, movedFrom: string[] = []) => job({ name: 'bound.work', queue, movedFrom });
  const steps: [AnyContract, Record<string, number>][] = [
    [at('bound-a'), { 'bound-a': 1 }],
    [at('bound-b', ['bound-a']), { 'bound-a': 2, 'bound-b': 0 }],
    [at('bound-b'), { 'bound-a': 2, 'bound-b': 1 }],
    [at('bound-c'), { 'bound-a': 2, 'bound-b': 1, 'bound-c': 1 }],
    [at('bound-a'), { 'bound-a': 3, 'bound-b': 1, 'bound-c': 1 }],
  ];
  for (const [contract, expected] of steps) {
    const version = await given(contract);
    await version.migrate();
    await environment.publish('bound.work', '{}', { messageId: crypto.randomUUID(), type: 'bound.work' });
    for (const [queue, count] of Object.entries(expected))
      expect([queue, await ready(queue)]).toEqual([queue, count]);
  }
});

test('P16: a queue that moved without movedFrom is named with how many wait and what to do; rebuild brings them home', async () => {
  const before = job({ name: 'silent.work', queue: 'silent-a', retry: ['1s'] });
  const after = job({ name: 'silent.work', queue: 'silent-b', retry: ['1s'] });
  const [old, now] = [await given(before), await given(after)];
  await old.migrate();
  const ids = [await old.enqueue(before), await old.enqueue(before, {}, { delay: '1h' })];
  await environment.publish('silent.work', '{}', { messageId: foreign, type: 'silent.work' });
  await old.store.pause('silent-a');
  await eventually(async () => (await ready('silent-a')) === 2);

  await now.migrate();
  await now.work();
  expect(await now.queue('silent-a')).toMatchObject({ ready: 1, scheduled: 1, paused: true });
  expect(await adviceOf(now, 'silent-a')).toMatch(
    /^2 jobs wait, and no worker takes them: no contract has this queue.*movedFrom.*npm run jobs -- rebuild/,
  );
  expect((await now.find(ids[0]!)).waitingFor).toMatchObject({ what: 'pause' });
  await now.store.resume('silent-a');
  expect((await now.find(ids[0]!)).waitingFor).toMatchObject({
    what: 'worker',
    detail: 'no worker that is alive serves queue "silent-a"',
  });

  await now.rebuild();
  await untilRan(ids[0]!, foreign);
  expect(await now.find(ids[1]!)).toMatchObject({ state: 'scheduled', queue: 'silent-b' });
  await eventually(async () => (await adviceOf(now, 'silent-a'))?.includes('queues delete silent-a'));
  expect(await now.queues.delete('silent-a')).toBeUndefined();
  expect(await now.queue('silent-a')).toBeUndefined();
});

test('P16: jobs of new code wait in its new queue while old workers run, are seen there, and run when a new worker starts', async () => {
  const before = job({ name: 'ahead.work', queue: 'ahead-a' });
  const after = job({ name: 'ahead.work', queue: 'ahead-b', movedFrom: 'ahead-a' });
  const [old, now] = [await given(before), await given(after)];
  await old.migrate();
  const worker = await old.work();
  await now.migrate();
  const id = await now.enqueue(after);
  // The old api and its workers go on, whatever the migration did.
  const meanwhile = await old.enqueue(before);
  await untilRan(meanwhile);
  for (const version of [old, now])
    expect(await adviceOf(version, 'ahead-b')).toMatch(/^1 job waits, and no worker takes them/);
  expect(ran).not.toContain(id);
  await now.work();
  await untilRan(id);
  await worker.close();
});

test('P16: back to the old code: rebuild brings the jobs of the new queue to the old one', async () => {
  const before = job({ name: 'back.work', queue: 'back-a' });
  const after = job({ name: 'back.work', queue: 'back-b' });
  const [old, now] = [await given(before), await given(after)];
  await now.migrate();
  const ids = [await now.enqueue(after), await now.enqueue(after, {}, { delay: '2s' })];
  await environment.publish('back.work', '{}', { messageId: foreign, type: 'back.work' });
  await eventually(async () => (await ready('back-b')) === 2);

  await old.migrate();
  await old.work();
  expect(await adviceOf(old, 'back-b')).toMatch(
    /^2 jobs wait, and no worker takes them: no contract has this queue/,
  );
  await old.rebuild();
  await untilRan(...ids, foreign);
  expect(new Set(ran).size).toBe(ran.length);
});

test('P16: an Idempotency-Key finds its job, though the contracts are in other queues and have other retries by now', async () => {
  const before = [
    job({ name: 'keyed.work', queue: 'keyed-a' }),
    job({ name: 'keyed.next', queue: 'keyed-a' }),
  ] as const;
  const after = [
    job({ name: 'keyed.work', queue: 'keyed-b', movedFrom: 'keyed-a' }),
    job({ name: 'keyed.next', queue: 'keyed-b', retry: ['1s'] }),
  ] as const;
  const [old, now] = [await given(...before), await given(...after)];
  await now.migrate();
  const ask = (version: Version, fails: number, idempotencyKey: string) => {
    const [contract, next] = version === old ? before : after;
    return version.enqueue(contract, { fails }, { idempotencyKey, next: nextJob(next, {}) });
  };
  for (const [first, second, key] of [[old, now, 'forward'] as const, [now, old, 'back'] as const]) {
    expect(await ask(second, 0, key)).toBe(await ask(first, 0, key));
    await expect(ask(second, 1, key)).rejects.toThrow(/key/i);
  }
});

test('P16: retry: more or fewer attempts count from the next failure on, also for jobs that had more already', async () => {
  const at = (name: string, ...retry: Duration[]) => job({ name, queue: 'policy', retry });
  const [shorter, longer] = [at('shorter.work', '300ms', '4s', '4s'), at('longer.work', '4s')];
  const old = await given(shorter, longer);
  await old.migrate();
  const worker = await old.work();
  const [fewer, more] = [await old.enqueue(shorter, { fails: 9 }), await old.enqueue(longer, { fails: 2 })];
  await eventually(async () => {
    const { attempt, state } = await old.find(fewer);
    return attempt === 2 && state === 'retrying';
  });
  await worker.close();

  const now = await given(at('shorter.work'), at('longer.work', '4s', '1s'));
  await now.migrate();
  await now.work();
  await untilState(now, fewer, 'dead');
  await untilState(now, more, 'succeeded');
  expect([await now.find(fewer), await now.find(more)]).toMatchObject([
    { attempt: 3 },
    { attempt: 3, maxAttempts: 3 },
  ]);
});

test('P16: retry: what waits in the retry queue of a delay that is gone comes back, and the queue is named to be deleted', async () => {
  const before = job({ name: 'delay.work', queue: 'delay', retry: ['5s'] });
  const after = job({ name: 'delay.work', queue: 'delay', retry: ['1s'] });
  const [old, now] = [await given(before), await given(after)];
  await old.migrate();
  const worker = await old.work();
  const id = await old.enqueue(before, { fails: 1 });
  await untilState(old, id, 'retrying');
  await worker.close();

  await now.migrate();
  expect(await adviceOf(now, 'jobs.retry.5s')).toMatch(/comes back by itself/);
  expect(await now.queues.delete('jobs.retry.5s')).toBe('jobs.retry.5s');
  await now.work();
  await untilRan(id);
  expect(await adviceOf(now, 'jobs.retry.5s')).toContain('npm run jobs -- queues delete jobs.retry.5s');
  expect(await now.queues.delete('jobs.retry.5s')).toBeUndefined();
  expect(await now.queue('jobs.retry.5s')).toBeUndefined();
});

test('P16: priorities that are given up: what waits in them comes back to the queue; and its queues can be deleted', async () => {
  const before = job({ name: 'ranked.work', queue: 'ranked', priorities: true });
  const after = job({ name: 'ranked.work', queue: 'ranked' });
  const [old, now] = [await given(before), await given(after)];
  await old.migrate();
  const ids = [];
  for (const priority of ['high', 'low', 'normal'] as const)
    ids.push(await old.enqueue(before, {}, { priority }));
  await eventually(async () => (await ready('ranked.high')) + (await ready('ranked.low')) === 2);
  await now.migrate();
  await now.work();
  await untilRan(...ids);
  for (const queue of ['ranked.high', 'ranked.low']) {
    await eventually(async () => (await adviceOf(now, queue))?.includes(`queues delete ${queue}`));
    expect(await now.queues.delete(queue)).toBeUndefined();
  }
});

test('P16: priorities that are introduced: old workers run what new code gives one, and what waited runs', async () => {
  const before = job({ name: 'newly.work', queue: 'newly' });
  const after = job({ name: 'newly.work', queue: 'newly', priorities: true });
  const [old, now] = [await given(before), await given(after)];
  await old.migrate();
  const waiting = await old.enqueue(before);
  await eventually(async () => (await ready('newly')) === 1);
  await now.migrate();
  const urgent = await now.enqueue(after, {}, { priority: 'high' });
  const worker = await old.work();
  await untilRan(waiting, urgent);
  await worker.close();
  const later = await now.enqueue(after, {}, { priority: 'low' });
  await now.work();
  await untilRan(later);
});
