import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as contracts from '#contracts';
import type { Jobs } from '#jobs';
import { eventually } from '#testing';
import {
  type AppProcess,
  type Environment,
  givenEnvironment,
  givenProcess,
  givenProducer,
} from '#testing/services';
import { SampleCall, SampleFlaky, SampleMail } from '../../samples/contracts.js';
import { givenReceiver, type Receiver, receiverSettings } from '../../support/receiver.js';

let environment: Environment;
let receiver: Receiver;
let producer: Awaited<ReturnType<typeof givenProducer>>;
let jobs: Jobs;
const processes: AppProcess[] = [];

beforeEach(async () => {
  environment = await givenEnvironment(Object.values(contracts));
  receiver = await givenReceiver();
  producer = await givenProducer(environment, { contracts: Object.values(contracts) });
  jobs = producer.jobs;
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop('SIGKILL')));
  await producer?.close();
  await receiver?.close();
  await environment?.close();
});

async function givenOneShot(args: string[], settings: Record<string, string> = {}) {
  const process = await givenProcess(
    'worker',
    environment,
    { ...receiverSettings, SHUTDOWN_GRACE: '5s', ...settings },
    { args: ['--drain', ...args] },
  );
  processes.push(process);
  return process;
}
const deliver = () => jobs.enqueue(SampleCall, { url: receiver.url, type: 'test', data: null });
const flaky = (failures = 0) => jobs.enqueue(SampleFlaky, { failures });
/** How many jobs there are of each name, state and attempt. */
const tally = async () =>
  Object.fromEntries(
    (
      await environment.sql<{ what: string; count: number }>(
        `select concat_ws(' ', name, state, attempt) as what, count(*)::int as count from jobs group by 1 order by 1`,
      )
    ).map(({ what, count }) => [what, count]),
  );

test('--drain runs what is ready or will be soon, leaves the rest, and exits 0', async () => {
  for (let n = 0; n < 30; n++) await flaky();
  // As another program would publish it: nobody knows of it but the broker.
  await environment.publish('sample.flaky', '{"failures":0}', {
    messageId: randomUUID(),
    type: 'sample.flaky',
    persistent: true,
  });
  await flaky(1);
  await jobs.enqueue(SampleFlaky, { failures: 0 }, { delay: '1h' });
  await environment.sql(`insert into paused_queues values ('sample-call')`);
  await deliver();
  await jobs.enqueue(SampleMail, { to: 'a@example.org', subject: 'not served', text: '' });

  const worker = await givenOneShot([], { WORKER_QUEUES: 'sample-flaky,sample-call' });
  expect([await worker.ended, worker.output()]).toEqual([0, expect.stringContaining('queues are empty')]);
  expect(await tally()).toEqual({
    'sample.flaky succeeded 1': 31,
    'sample.flaky succeeded 2': 1,
    'sample.flaky scheduled 0': 1,
    'sample.call queued 0': 1,
    'sample.mail queued 0': 1,
  });
});

test('--drain with nothing to do exits 0; what another worker runs it leaves to that', async () => {
  const standing = await givenProcess('worker', environment, receiverSettings);
  processes.push(standing);
  await deliver();
  await eventually(() => receiver.waiting.length === 1);
  expect(await (await givenOneShot([])).ended).toBe(0);
  expect(await tally()).toEqual({ 'sample.call running 1': 1 });
  expect(standing.child.exitCode).toBeNull();
});

test('P8: with --max-jobs a worker runs so many, and the rest is as it was', async () => {
  receiver.open();
  for (let n = 0; n < 6; n++) await Promise.all([flaky(), deliver()]);
  expect(await (await givenOneShot(['--max-jobs', '4'])).ended).toBe(0);
  const rows = await environment.sql<{ state: string; attempt: number }>('select state, attempt from jobs');
  expect(rows.filter(({ state, attempt }) => state === 'succeeded' && attempt === 1)).toHaveLength(4);
  expect(rows.filter(({ state, attempt }) => state === 'queued' && attempt === 0)).toHaveLength(8);
  await eventually(
    async () =>
      (await environment.countReady('sample-flaky')) + (await environment.countReady('sample-call')) === 8,
  );
});

test('P8: when --max-time is over a worker releases what does not end in time, with no attempt used up', async () => {
  await deliver();
  const worker = await givenOneShot(['--max-time', '4s'], { SHUTDOWN_GRACE: '200ms' });
  expect([await worker.ended, worker.output()]).toEqual([0, expect.stringContaining('--max-time reached')]);
  expect(await tally()).toEqual({ 'sample.call queued 0': 1 });
  await eventually(async () => (await environment.countReady('sample-call')) === 1);
});

test('P8: on SIGTERM a worker with --drain finishes what is in flight and exits 0, as any worker', async () => {
  await deliver();
  const worker = await givenOneShot([]);
  await eventually(() => receiver.waiting.length === 1);
  const stopped = worker.stop('SIGTERM');
  await eventually(() => worker.output().includes('"inFlight":1'));
  await deliver();
  receiver.open();
  expect(await stopped).toBe(0);
  expect(await tally()).toEqual({ 'sample.call succeeded 1': 1, 'sample.call queued 0': 1 });
});

test('arguments that a worker does not know end it with 2 and say how they are meant', async () => {
  const worker = await givenOneShot(['--max-jobs', 'all']);
  expect([await worker.ended, worker.output()]).toEqual([2, expect.stringMatching(/"all"\nUsage: node/)]);
});
