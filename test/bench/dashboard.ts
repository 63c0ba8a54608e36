import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eventually } from '#testing';
import { type AppProcess, type Environment, givenEnvironment, givenProcess } from '#testing/services';
import { startServices } from '../../scripts/services.js';
import * as contracts from '../samples/all.js';
import { givenAppsWith } from '../support/apps-with.js';
import { givenJobs, type Landmarks } from './million-jobs.js';

/**
 * `npm run bench:dashboard`: how long each page of the dashboard takes when there are very many jobs, as a table in
 * Markdown. The first look is the first request that an api answers at all; those after it come some time apart, so
 * that the figures which pages share grow old in between.
 */

/** Looks at a page after the first one, and the time between two of them. */
const EMPTY_POLLS = 40;
const PAUSE_MS = 100;
/** A hundred thousand dead letters are published in a minute or two. */
const LETTERS_LIMIT_MS = 600_000;

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000000' },
    dead: { type: 'string', default: '100000' },
    waiting: { type: 'string', default: '20000' },
    only: { type: 'string', default: '' },
  },
});

/** What is looked at, as the operator would say it, and where that is. */
const pagesOf = ({ batch, dead, common, rare, number }: Landmarks): [string, string][] => [
  ['overview', ''],
  ['overview, 7 days', '?range=7d'],
  ['jobs', '/jobs'],
  ['jobs that succeeded', '/jobs?state=succeeded'],
  ['jobs that wait', '/jobs?state=queued'],
  ['jobs that are dead', '/jobs?state=dead'],
  ['jobs by name', '/jobs?name=sample.mail'],
  ['jobs by a name that none has', '/jobs?name=nobody'],
  ['dead jobs by a name that none has', '/jobs?state=dead&name=nobody'],
  ['jobs of a batch', `/jobs?batch=${batch}`],
  ['a job with five errors', `/jobs/${dead}`],
  ['dead letters', '/dead-letters'],
  ['dead letters of a queue', '/dead-letters?queue=webhook'],
  ['dead letters by a common error', `/dead-letters?error=${common}`],
  ['dead letters by a rare error', `/dead-letters?error=${rare}`],
  ['dead letters by a number', `/dead-letters?error=${number}`],
  ['replay all?', '/dead-letters/confirm?action=replay'],
  [
    'replay a group?',
    '/dead-letters/confirm?action=replay&errorForm=connect+ECONNREFUSED+%23.%23.%23.%23:%23',
  ],
  ['replay by a common error?', `/dead-letters/confirm?action=replay&error=${common}`],
  ['schedules', '/schedules'],
  ['batches', '/batches'],
  ['a batch', `/batches/${batch}`],
  ['workers', '/workers'],
  ['audit', '/audit'],
];

const services = await startServices({ log: (line) => console.error(line) });
const folder = await givenAppsWith('samples');
let environment: Environment | undefined;
let worker: AppProcess | undefined;
try {
  environment = await givenEnvironment(Object.values(contracts), services);
  console.error(`Filling a database with ${values.jobs} jobs`);
  const landmarks = await givenJobs(environment, {
    all: Number(values.jobs),
    dead: Number(values.dead),
    waiting: Number(values.waiting),
  });
  // Its queues are paused: it declares its schedules, reports, and leaves the jobs as they are. But it finds that no
  // dead letter is in the broker, and publishes them all, which is not what is measured here.
  await environment.sql('insert into paused_queues (queue) select distinct queue from jobs');
  worker = await (await givenProcess('worker', environment, {}, { folder })).ready();
  await eventually(() => everyLetterIsInPlace(environment as Environment), LETTERS_LIMIT_MS);
  await environment.sql('vacuum (analyze) jobs');
  console.log('| page | first look, ms | p50 | p95 | longest |\n|---|---|---|---|---|');
  for (const [name, path] of pagesOf(landmarks)) {
    if (name.includes(values.only))
      console.log(`| ${name} | ${(await measure(environment, path)).join(' | ')} |`);
  }
} finally {
  await worker?.stop();
  await environment?.close();
  await services.stop();
}

async function everyLetterIsInPlace({ sql, countReady }: Environment): Promise<boolean> {
  const dead = await sql<{ queue: string; count: number }>(
    "select queue, count(*)::int as count from jobs where state = 'dead' group by queue",
  );
  const depths = await Promise.all(dead.map(({ queue }) => countReady(`${queue}.dead`)));
  const pending = await sql("select from jobs where state = 'dead' and publish_at is not null limit 1");
  return pending.length === 0 && dead.every(({ count }, index) => depths[index] === count);
}

async function measure(place: Environment, path: string): Promise<number[]> {
  const api = await (await givenProcess('api', place, {}, { folder })).ready();
  const look = async () => {
    const startedAt = performance.now();
    const answer = await fetch(`${api.url}/dashboard${path}`);
    await answer.text();
    if (!answer.ok) throw new Error(`${path} answers ${answer.status}:\n${api.output()}`);
    return performance.now() - startedAt;
  };
  const first = await look();
  const others: number[] = [];
  while (others.length < EMPTY_POLLS) {
    await pause(PAUSE_MS);
    others.push(await look());
  }
  await api.stop();
  others.sort((a, b) => a - b);
  const at = (share: number) => others[Math.floor(share * (others.length - 1))] ?? 0;
  return [first, at(0.5), at(0.95), at(1)].map(Math.round);
}
