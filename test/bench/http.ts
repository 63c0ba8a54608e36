import type { Environment } from '#testing/services';
import { load } from './load.js';
import { PAD } from './protocol.js';
import { describeMachine, median } from './report.js';
import { type Findings, inRounds, type Stage } from './stage.js';
import { startApi, startEmptyApi } from './systems.js';

const CONNECTIONS = 50;
const BATCH = 1_000;

/** What one round gave: requests or jobs a second, milliseconds. */
interface Round {
  empty: number;
  jobs: number;
  p50: number;
  p99: number;
  batched: number;
}

/** `POST /jobs` and `POST /batches`, each job recorded and published, beside a handler that does nothing. */
export async function http({
  environment,
  quick,
  rounds = quick ? 1 : 5,
  log,
  during,
}: Stage): Promise<Findings> {
  const seconds = quick ? 2 : 6;
  const played = await inRounds(rounds, { during, log }, () => playRound(environment, seconds));
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
    '',
  ].join('\n');
  return { markdown, figures: played };
}

async function playRound(environment: Environment, seconds: number): Promise<Round> {
  const job = { name: 'bench.measured', payload: { at: 0, pad: PAD } };
  const empty = await startEmptyApi();
  await load(`${empty.url}/jobs`, job, { connections: CONNECTIONS, seconds: 1 });
  const nothing = await load(`${empty.url}/jobs`, job, { connections: CONNECTIONS, seconds });
  await empty.child.end();

  const api = await startApi(environment);
  await load(`${api.url}/jobs`, job, { connections: CONNECTIONS, seconds: 1 });
  const most = await load(`${api.url}/jobs`, job, { connections: CONNECTIONS, seconds });
  const half = await load(`${api.url}/jobs`, job, {
    connections: CONNECTIONS,
    seconds,
    rate: Math.round(most.perSecond / 2),
  });
  const payloads = Array.from({ length: BATCH }, () => job.payload);
  const batches = await load(`${api.url}/batches`, { name: job.name, payloads }, { connections: 4, seconds });
  await api.child.end();
  await environment.management('DELETE', '/queues/{vhost}/bench/contents');
  await environment.sql('truncate jobs, batches cascade');
  return {
    empty: nothing.perSecond,
    jobs: most.perSecond,
    p50: half.p50,
    p99: half.p99,
    batched: batches.perSecond * BATCH,
  };
}
