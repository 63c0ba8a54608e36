import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Handler, type JobContext, JobHandler, job, nextJob, snooze } from '#jobs';
import { LimitsModule } from '#limits';
import { BulkStore, DeadJobStore, JobQueries, QueueStore } from '#records';
import { eventually } from '#testing';
import { type Environment, givenProducerAndWorker, type Producer } from '#testing/services';

const Urgent = defineJob({
  name: 'call.urgent',
  queue: 'calls',
  payload: z.enum(['fine', 'fail once', 'snooze once']),
  retry: ['1s'],
  startWithin: '300ms',
});
const Patient = defineJob({ name: 'call.patient', queue: 'calls', payload: z.unknown() });
const Hold = defineJob({ name: 'line.hold', queue: 'line', payload: z.unknown() });
/** Nobody serves it. */
const Nowhere = defineJob({
  name: 'call.nowhere',
  queue: 'nowhere',
  payload: z.unknown(),
  startWithin: '1h',
});

const seen: string[] = [];
let letGo = () => {};

@JobHandler(Urgent)
class UrgentHandler implements Handler<typeof Urgent> {
  private snoozed = false;

  handle({ id, payload, attempt }: JobContext<typeof Urgent>) {
    seen.push(id);
    if (payload === 'fail once' && attempt === 1) throw new Error('not yet');
    if (payload === 'snooze once' && !this.snoozed) {
      this.snoozed = true;
      return snooze('1s');
    }
    return null;
  }
}

@JobHandler(Patient)
class PatientHandler implements Handler<typeof Patient> {
  handle({ id }: JobContext<typeof Patient>) {
    seen.push(id);
  }
}

@JobHandler(Hold, { concurrency: { max: 1 } })
class HoldHandler implements Handler<typeof Hold> {
  handle({ id }: JobContext<typeof Hold>) {
    seen.push(id);
    return new Promise<void>((resolve) => {
      letGo = resolve;
    });
  }
}

let environment: Environment;
let producer: Producer;
let close = async () => {};
const view = (id: string) => producer.app.get(JobQueries).find(id);
const ended = (id: string) =>
  eventually(async () => {
    const job = await view(id);
    return job?.finishedAt ? job : undefined;
  });
const consumers = (count: number) =>
  eventually(async () => (await environment.countConsumers('calls')) === count);
const pause = async () => {
  await producer.app.get(QueueStore).pause('calls');
  await consumers(0);
};
const resume = async () => {
  await producer.app.get(QueueStore).resume('calls');
  await consumers(1);
};
const isDeadline = (startWithin: string) => ({
  state: 'dead',
  error: {
    class: 'StartDeadlineError',
    message: `The job could not start within ${startWithin} of its time to run (startWithin)`,
  },
});

beforeAll(async () => {
  ({ environment, producer, close } = await givenProducerAndWorker({
    contracts: [Urgent, Patient, Hold, Nowhere],
    handlers: [UrgentHandler, PatientHandler, HoldHandler],
    imports: [LimitsModule],
    settings: { WORKER_QUEUES: ['calls', 'line'] },
  }));
});
afterAll(() => close());

test('a job that no worker takes in time is dead, and lies among the dead letters; others wait on', async () => {
  await pause();
  const late = await producer.jobs.enqueue(Urgent, 'fine');
  const patient = await producer.jobs.enqueue(Patient, {});
  const own = await producer.jobs.enqueue(Patient, {}, { startWithin: '200ms' });
  const [bulk] = await producer.jobs.enqueueAll([job(Nowhere, {}, { startWithin: 100 })]);
  const first = await ended(late.id);
  expect(first).toMatchObject({ ...isDeadline('300ms'), startedAt: null, attempts: [{ outcome: 'failed' }] });
  expect(first.finishedAt!.getTime() - first.runAt.getTime()).toBeGreaterThanOrEqual(300);
  expect(await ended(own.id)).toMatchObject(isDeadline('200ms'));
  expect(await ended(bulk!.id)).toMatchObject(isDeadline('100ms'));
  expect(await view(patient.id)).toMatchObject({ state: 'queued' });
  await eventually(async () => (await environment.countReady('calls.dead')) === 2);
  await resume();
  expect(await ended(patient.id)).toMatchObject({ state: 'succeeded' });
  expect(seen).toEqual([patient.id]);
});

test('a replay begins its time again, and so does another time to run', async () => {
  await pause();
  const { id } = await producer.jobs.enqueue(Urgent, 'fine');
  await ended(id);
  await resume();
  await producer.app.get(DeadJobStore).replay({ ids: [id] });
  expect(await ended(id)).toMatchObject({ state: 'succeeded' });

  const moved = await producer.jobs.enqueue(Nowhere, {}, { delay: '1h', startWithin: '200ms' });
  const done = await producer.app.get(BulkStore).reschedule({ ids: [moved.id] }, { delayMs: 100 });
  expect(done).toMatchObject({ count: 1 });
  const dead = await ended(moved.id);
  expect(dead).toMatchObject(isDeadline('200ms'));
});

test('the time of a delayed job counts from when it may run', async () => {
  await pause();
  const { id } = await producer.jobs.enqueue(Urgent, 'fine', { delay: '700ms' });
  const dead = await ended(id);
  expect(dead).toMatchObject(isDeadline('300ms'));
  expect(dead.finishedAt!.getTime() - dead.createdAt.getTime()).toBeGreaterThanOrEqual(1_000);
  await resume();
});

test('only the first start counts: retries and snoozes may come later', async () => {
  const failing = await producer.jobs.enqueue(Urgent, 'fail once');
  const snoozing = await producer.jobs.enqueue(Urgent, 'snooze once');
  expect(await ended(failing.id)).toMatchObject({ state: 'succeeded', attempt: 2 });
  expect(await ended(snoozing.id)).toMatchObject({ state: 'succeeded', attempt: 1 });
});

test('a job that a limit puts off, or that follows another one, has no longer', async () => {
  const holding = await producer.jobs.enqueue(
    Hold,
    {},
    {
      next: nextJob(Nowhere, {}, { startWithin: '100ms' }),
    },
  );
  await eventually(() => seen.includes(holding.id));
  const late = await producer.jobs.enqueue(Hold, {}, { startWithin: '500ms' });
  expect(await ended(late.id)).toMatchObject(isDeadline('500ms'));
  expect(seen).not.toContain(late.id);
  letGo();
  expect(await ended(holding.id)).toMatchObject({ state: 'succeeded' });
  await eventually(() => view(holding.next!));
  expect(await ended(holding.next!)).toMatchObject(isDeadline('100ms'));
});

test('a worker that is given a job too late makes it dead before its handler sees it', async () => {
  const { id } = await producer.jobs.enqueue(Patient, {}, { delay: '1h', startWithin: '1h' });
  // It is late as soon as it is running, so that no duty finds it before.
  await environment.sql(`
    create function make_late() returns trigger language plpgsql as $$ begin
      if new.state = 'running' then new.options := new.options || '{"startBy":0}'; end if;
      return new;
    end $$;
    create trigger make_late before update on jobs for each row when (old.id = '${id}') execute function make_late()`);
  await environment.sql(`update jobs set run_at = now(), publish_at = now() where id = $1`, [id]);
  expect(await ended(id)).toMatchObject({
    ...isDeadline('1h'),
    attempt: 1,
    attempts: [{ outcome: 'failed' }],
  });
  expect(seen).not.toContain(id);
});
