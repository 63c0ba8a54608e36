import type { Environment } from '#testing/services';
import { load } from './load.js';
import { PAD } from './protocol.js';
import { type Redis, startRedis } from './redis.js';
import { describeMachine, median } from './report.js';
import { type Findings, inRounds, type Stage } from './stage.js';
import { type Api, startApi, startBullmqApi, startEmptyApi } from './systems.js';

const CONNECTIONS = 50;
const BATCH = 1_000;

/** What one round gave: requests or jobs a second, milliseconds. */
interface Round {
  empty: number;
  jobs: number;
  p50: number;
  p99: number;
  batched: number;
  /** The same of BullMQ with each write on disk, where there is a Redis. */
  handed?: { jobs: number; batched: number };
}

/**
 * `POST /jobs` and `POST /batches`, each job recorded and published, beside a handler that does nothing and one that hands
 * jobs to BullMQ with each write on disk.
 */
export async function http({
  environment,
  quick,
  rounds = quick ? 1 : 5,
  log,
  during,
}: Stage): Promise<Findings> {
  const seconds = quick ? 2 : 6;
  const redis = await startRedis('always');
  const played = await inRounds(rounds, { during, log }, () => playRound(environment, seconds, redis));
  await redis?.stop();
  const toHanded = (figure: 'jobs' | 'batched') =>
    redis ? of((round) => round[figure] / (round.handed?.[figure] ?? Number.NaN)).toFixed(2) : '–';
  const of = (figure: (round: Round) => number) => median(played.map(figure));
  const rate = (figure: (round: Round) => number) => Math.round(of(figure)).toLocaleString('en');
  const markdown = [
    `${describeMachine()}. ${rounds} rounds of ${seconds} s a part, ${CONNECTIONS} connections, payloads of 200 bytes; load generator, api, broker and database on the same machine.`,
    '',
    '| | medians | aim |',
    '|---|---:|---|',
    `| requests a second of a handler that does nothing | ${rate(({ empty }) => empty)} | |`,
    `| \`POST /jobs\` a second | ${rate(({ jobs }) => jobs)} | |`,
    `| ratio | ${of(({ jobs, empty }) => jobs / empty).toFixed(2)} | at least 0.5 |`,
    `| p50 at half load, ms | ${of(({ p50 }) => p50).toFixed(1)} | |`,
    `| p99 at half load, ms | ${of(({ p99 }) => p99).toFixed(1)} | |`,
    `| p99 / p50 | ${of(({ p99, p50 }) => p99 / Math.max(1, p50)).toFixed(1)} | under 5 |`,
    `| jobs a second by \`POST /batches\` of ${BATCH.toLocaleString('en')} | ${rate(({ batched }) => batched)} | at least 20,000 |`,
    `| \`POST /jobs\`, to the same handed to BullMQ with each write on disk | ${toHanded('jobs')} | at least 0.9 |`,
    `| \`POST /batches\`, to the same | ${toHanded('batched')} | at least 0.9 |`,
    '',
  ].join('\n');
  return { markdown, figures: played };
}

const JOB = { name: 'bench.measured', payload: { at: 0, pad: PAD } };
const PAYLOADS = Array.from({ length: BATCH }, () => JOB.payload);

async function playRound(
  environment: Environment,
  seconds: number,
  redis: Redis | undefined,
): Promise<Round> {
  const single = (url: string, options: { seconds: number; rate?: number }) =>
    load(`${url}/jobs`, JOB, { connections: CONNECTIONS, ...options });
  const batches = async (url: string) => {
    const body = { name: JOB.name, payloads: PAYLOADS };
    return (await load(`${url}/batches`, body, { connections: 4, seconds })).perSecond * BATCH;
  };
  const measure = async (start: Promise<Api>) => {
    const { url, child } = await start;
    await single(url, { seconds: 1 });
    return { url, child, jobs: (await single(url, { seconds })).perSecond };
  };
  const empty = await measure(startEmptyApi());
  await empty.child.end();

  const api = await measure(startApi(environment));
  const { p50, p99 } = await single(api.url, { seconds, rate: Math.round(api.jobs / 2) });
  const batched = await batches(api.url);
  await api.child.end();
  await environment.management('DELETE', '/queues/{vhost}/bench/contents');
  await environment.sql('truncate jobs, batches cascade');

  const round = { empty: empty.jobs, jobs: api.jobs, p50, p99, batched };
  if (!redis) return round;
  const bullmq = await measure(startBullmqApi(redis));
  const handed = { jobs: bullmq.jobs, batched: await batches(bullmq.url) };
  await bullmq.child.end();
  return { ...round, handed };
}
