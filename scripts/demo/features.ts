import { setTimeout as pause } from 'node:timers/promises';
import { grouped } from '#config';
import type { Client, Job } from './client.js';
import { MAILS } from './workload.js';

const POLL_MS = 100;
const LIMIT_MS = 20_000;
const TENANT = 'tenant:acme';
const REQUESTS = 50;

type Shown = Record<string, { fact: string; isAsExpected: boolean }>;

/** What can be done with jobs besides: each is done, and told by what the api says of it afterwards. */
export async function showFeatures(client: Client): Promise<Shown> {
  return {
    Debounced: await debounce(client),
    Tagged: await tag(client),
    Corrected: await correct(client),
    'Too late': await startTooLate(client),
  };
}

/** Requests with one key, of which the last payload counts. */
async function debounce(client: Client) {
  const [name, key] = ['demo.flaky', 'search-index'];
  const made = new Set<string>();
  for (let request = 1; request <= REQUESTS; request++) {
    const payload = { failures: request < REQUESTS ? 3 : 0 };
    made.add((await client.enqueue(name, payload, { debounce: { key, delay: '1s' } })).id);
  }
  const job = await ended(client, [...made][0] as string);
  return {
    fact: `${REQUESTS} requests with one key made ${made.size} job, with the last payload`,
    isAsExpected: made.size === 1 && job.state === 'succeeded' && job.attempts.length === 1,
  };
}

/** Jobs of several contracts in one request, found and cancelled by their tag in another one. */
async function tag(client: Client) {
  const options = { delay: '1h', tags: [TENANT] };
  const mail = { to: 'customer@example.com', subject: 'Still there?', text: 'We miss you.\n' };
  const jobs = Array.from({ length: MAILS / 2 }, () => [
    { name: 'email.send', payload: mail, options },
    { name: 'demo.flaky', payload: { failures: 0 }, options },
  ]).flat();
  const { items } = await client.call<{ items: Job[] }>('POST', '/jobs/bulk', { jobs });
  const { count } = await client.call<{ count: number }>('POST', '/jobs/cancel', { tag: TENANT });
  return {
    fact: `${grouped(items.length)} jobs of 2 contracts in one request, ${grouped(count)} cancelled by their tag in another`,
    isAsExpected: count === items.length,
  };
}

/** The dead letter, replayed with another payload. */
async function correct(client: Client) {
  const dead = client.jobs({ state: 'dead', name: 'demo.flaky' });
  const { value: letter } = await dead.next();
  if (!letter) return { fact: 'there is no dead letter to replay', isAsExpected: false };
  await client.call('POST', '/dead-letters/replay', { ids: [letter.id], patch: { failures: 0 } });
  const { state } = await ended(client, letter.id);
  return {
    fact: `the dead letter, replayed with a corrected payload: ${state}`,
    isAsExpected: state === 'succeeded',
  };
}

/** A job that does not get to start in time. */
async function startTooLate(client: Client) {
  await client.call('POST', '/queues/demo/pause');
  try {
    const isPaused = async () =>
      (await client.queues()).some(({ queue, consumers }) => queue === 'demo' && consumers === 0);
    await until('The worker still takes jobs of the paused queue', isPaused);
    const { id } = await client.enqueue('demo.flaky', { failures: 0 }, { startWithin: '1s' });
    const { state, error } = await ended(client, id);
    return {
      fact: `a job in a paused queue that had to start within 1 s: ${state}, and its handler did not see it`,
      isAsExpected: state === 'dead' && error?.class === 'StartDeadlineError',
    };
  } finally {
    await client.call('POST', '/queues/demo/resume');
  }
}

/** Waits for the end of a job. */
async function ended(client: Client, id: string): Promise<Job> {
  let job = await client.call<Job>('GET', `/jobs/${id}`);
  await until(`Job ${id} has not ended`, async () => {
    job = await client.call('GET', `/jobs/${id}`);
    return ['succeeded', 'dead'].includes(job.state);
  });
  return job;
}

/** @throws Error with the problem when it does not come. */
async function until(problem: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(problem);
    await pause(POLL_MS);
  }
}
