import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { eventually } from '#testing';
import { barChart } from './chart.js';
import { type Load, load } from './load.js';
import { PAD } from './protocol.js';
import { describeMachine, median } from './report.js';
import { type Findings, inRounds, type Stage } from './stage.js';
import { startApi, startEmptyApi, startWorker } from './systems.js';

const RATE = 100;
const WORK_MS = 50;
/** Of the one core that the api has, when it does the work itself: more could not be done by it at all. */
const INLINE_SHARE = 0.8;

interface Round {
  idle: Load;
  busy: Load;
  inline: Load;
}

/**
 * Whether work that computes leaves the api alone. The worker has one core; the api, broker, database and all who
 * measures share the other, in all three parts.
 */
export async function apart({
  environment,
  quick,
  rounds = quick ? 1 : 5,
  log,
  during,
}: Stage): Promise<Findings> {
  if (cpus().length < 2)
    throw new Error('The api and the worker are to have a core each: this machine has one');
  const seconds = quick ? 3 : 10;
  const job = { name: 'bench.measured', payload: { at: 0, pad: PAD } };
  const probe = (url: string) => load(`${url}/jobs`, job, { connections: 10, seconds, rate: RATE });
  const playRound = async (): Promise<Round> => {
    const api = await startApi(environment);
    const worker = await startWorker(environment, { core: 1 });
    await load(`${api.url}/jobs`, job, { connections: 10, seconds: 2 });
    await eventually(async () => (await environment.sql(OPEN)).length === 0, 60_000);
    const idle = await probe(api.url);

    const payloads = Array.from({ length: Math.ceil((seconds * 1_000 * 2) / WORK_MS) }, () => ({
      ms: WORK_MS,
    }));
    await load(
      `${api.url}/batches`,
      { name: 'bench.computing', payloads },
      { connections: 1, seconds: 1, rate: 1 },
    );
    const [before] = await environment.sql<{ done: number }>(DONE);
    const busy = await probe(api.url);
    const [after] = await environment.sql<{ done: number; left: number }>(DONE);
    if (!after?.left) throw new Error('The worker ran out of jobs that compute');
    log(`the worker was busy for ${((after.done - (before?.done ?? 0)) * WORK_MS) / 1_000} of ${seconds} s`);
    await Promise.all([api.child.end(), worker.end()]);
    await environment.management('DELETE', '/queues/{vhost}/bench/contents');
    await environment.sql('truncate jobs, batches cascade');

    const empty = await startEmptyApi();
    await load(`${empty.url}/jobs`, job, { connections: 10, seconds: 2 });
    const [inline] = await Promise.all([
      probe(empty.url),
      load(
        `${empty.url}/jobs/inline`,
        { ms: WORK_MS },
        { connections: 10, seconds, rate: Math.round((INLINE_SHARE * 1_000) / WORK_MS) },
      ),
    ]);
    await empty.child.end();
    return { idle, busy, inline };
  };

  const played = await inRounds(rounds, { during, log }, playRound);
  const of = (figure: (round: Round) => number) => median(played.map(figure));
  const p99 = (part: (round: Round) => Load) => of((round) => part(round).p99);
  const rows: [string, (round: Round) => Load][] = [
    ['worker idle', ({ idle }) => idle],
    ['worker saturated', ({ busy }) => busy],
    [`the same work in the api, ${INLINE_SHARE * 100} % of it`, ({ inline }) => inline],
  ];
  const machine = `${describeMachine()}; the worker on a core of its own, all else on another. ${RATE} requests a second, ${rounds} rounds of ${seconds} s`;
  return {
    figures: played,
    markdown: [
      `${machine}; jobs that compute for ${WORK_MS} ms each.`,
      '',
      '| `POST /jobs` | p50 ms | p99 ms |',
      '|---|---:|---:|',
      ...rows.map(
        ([title, part]) =>
          `| ${title} | ${of((round) => part(round).p50).toFixed(1)} | ${p99(part).toFixed(1)} |`,
      ),
      '',
      `p99 saturated to idle: ${of(({ busy, idle }) => busy.p99 / idle.p99).toFixed(2)} (at most 1.5).`,
      '',
    ].join('\n'),
    chart: barChart({
      title: 'The api’s p99, in milliseconds, while jobs compute',
      note: machine,
      bars: [
        {
          label: 'saturated',
          note: 'a worker computes all the time, on the other core',
          value: p99(({ busy }) => busy),
        },
        { label: 'idle', note: 'the worker has nothing to do', value: p99(({ idle }) => idle) },
        {
          label: 'inline',
          note: `without a worker: the api does ${INLINE_SHARE * 100} % of the same work itself`,
          value: p99(({ inline }) => inline),
        },
      ],
      digits: 1,
    }),
  };
}

/** Something of the warm-up that the worker has still to do: before it has, it is not idle. */
const OPEN = "select from jobs where state <> 'succeeded' limit 1";

const DONE = `select count(*) filter (where state = 'succeeded')::int as done,
  count(*) filter (where state <> 'succeeded')::int as left from jobs where name = 'bench.computing'`;

/** Keeps this process, and all that it starts, on one core. */
export function stayOnCore(core: number): void {
  execFileSync('taskset', ['-acp', String(core), String(process.pid)]);
}
