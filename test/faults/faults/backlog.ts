import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '#testing/services';
import type { Fault } from '../fault.js';
import type { Scene } from '../scene.js';
import type { SceneApp } from '../scene-app.js';

/** So many jobs wait; a million takes a quarter of an hour: `WAITING=1000000 npm run test:faults -- --only F40`. */
const WAITING = Number(process.env.WAITING ?? 50_000);
const IN_ONE_BATCH = 5_000;
/** Little enough that V8 collects what is not needed, instead of letting the heap grow as it does on a large machine. */
const HEAP = { nodeOptions: ['--max-old-space-size=192'] };
/** By how much a process may grow when four times as many wait. */
const MORE_MEMORY_MIB = 80;
/** Seconds that working them off may take. */
const LIMIT_S = 60 + WAITING / 500;
const POLL_INTERVAL_MS = 250;

/** Faults of plenty. */
export const backlogFaults: Fault[] = [
  {
    id: 'F40',
    title: `${WAITING.toLocaleString('en')} jobs wait and are then worked off, and take no more memory than a quarter of them`,
    promises: 'P15',
    recoveryLimit: LIMIT_S,
    skip: () => (existsSync(join(root, 'libs/batches')) ? undefined : 'it enqueues by batches'),
    async run(scene) {
      const [api, worker] = await Promise.all([
        scene.api(HEAP),
        scene.worker({ ...HEAP, settings: { WORKER_PREFETCH: '200' } }),
      ]);
      const few = await peakOf([api, worker], () => waitAndWork(scene, api, WAITING / 4));
      const many = await peakOf([api, worker], () => waitAndWork(scene, api, WAITING));
      const load = scene.load(api, { jobs: 200 });
      await load.done;
      return () => {
        for (const [index, kind] of (['api', 'worker'] as const).entries()) {
          const growth = many[index]! - few[index]!;
          assert(growth < MORE_MEMORY_MIB, `The ${kind} used ${few[index]} MiB, and then ${many[index]}`);
        }
      };
    },
  },
];

/** Lets jobs gather in a paused queue until the broker has them all, and then has the worker do them. */
async function waitAndWork(scene: Scene, api: SceneApp, jobs: number): Promise<void> {
  const ready = () => scene.environment.countReady('ledger');
  await post(api, '/queues/ledger/pause');
  await scene.until(async () => (await consumersOf(api)) === 0);
  for (let n = 0; n < jobs; n += IN_ONE_BATCH) {
    const payloads = Array.from({ length: IN_ONE_BATCH }, (_, index) => ({ n: n + index }));
    await post(api, '/batches', { name: 'ledger.unwritten', payloads });
  }
  await scene.until(async () => (await ready()) >= jobs, LIMIT_S * 1_000);
  await post(api, '/queues/ledger/resume');
  await scene.until(async () => (await ready()) === 0, LIMIT_S * 1_000);
}

/** Consumers of the queue, as the broker counts them. */
async function consumersOf(api: SceneApp): Promise<number | null | undefined> {
  const { items } = (await (await fetch(`${api.url}/queues`)).json()) as {
    items: { queue: string; consumers: number | null }[];
  };
  return items.find(({ queue }) => queue === 'ledger')?.consumers;
}

async function post(api: SceneApp, path: string, body: object = {}): Promise<void> {
  const answer = await fetch(api.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
}

/** Resident memory of each process, in MiB. */
function memoryOf(apps: SceneApp[]): Promise<number[]> {
  return Promise.all(
    apps.map(async ({ pid }) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024);
    }),
  );
}

/** The most that each of some processes used while something was done. */
async function peakOf(apps: SceneApp[], task: () => Promise<void>): Promise<number[]> {
  const peak = apps.map(() => 0);
  const look = async () => {
    for (const [index, now] of (await memoryOf(apps)).entries()) peak[index] = Math.max(peak[index]!, now);
  };
  const timer = setInterval(() => void look(), POLL_INTERVAL_MS);
  try {
    await task();
  } finally {
    clearInterval(timer);
  }
  return peak;
}
