import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type Fault, play, type Result } from './fault.js';
import { type Load, UNTIL_STOPPED } from './load.js';
import type { Scene, SceneAppOptions } from './scene.js';
import type { SceneApp } from './scene-app.js';
import type { Stage } from './stage.js';

const JOBS_PER_SECOND = 40;
const PAUSE_MS = { least: 10_000, most: 30_000 };
/** How long one fault lasts. */
const FAULT_MS = { least: 1_000, most: 12_000 };
/** What may be more at the end than after the start: sockets that are about to close, a heap that has grown once. */
const MORE_FILES = 25;
const MORE_MEMORY_MIB = 120;

/** What is broken at random; each ends by itself. */
type Move = (cast: Cast, forMs: number) => Promise<void>;

/** Who plays in a soak: everybody by a way of its own that can be broken, and started again when it dies. */
interface Cast {
  scene: Scene;
  apps: SceneApp[];
  ways: Required<Pick<SceneAppOptions, 'broker' | 'database'>>[];
  random: Random;
}

const moves: Record<string, Move> = {
  'an app is killed': async ({ apps, random }) => random.of(apps).crash(),
  'all workers are killed': async ({ apps }) => {
    for (const app of apps) if (app.kind === 'worker') app.crash();
  },
  // The supervisor starts another one, as it would in a rolling deploy.
  'an app gets SIGTERM': async ({ apps, random }) => random.of(apps).signal('SIGTERM'),
  'the broker is killed': async ({ scene }, forMs) => {
    await scene.stage.broker.stop('SIGKILL');
    await pause(forMs);
    await scene.stage.broker.start();
  },
  'the broker is restarted': async ({ scene }) => {
    await scene.stage.broker.stop('SIGTERM');
    await scene.stage.broker.start();
  },
  'the database loses power': async ({ scene }, forMs) => {
    await scene.stage.database.kill();
    await pause(forMs);
    await scene.stage.database.start();
  },
  'memory alarm': ({ scene }, forMs) => alarm(scene, 'memory', forMs),
  'disk alarm': ({ scene }, forMs) => alarm(scene, 'disk', forMs),
  'a way to the broker is cut': onWay('broker', (way) => way.cut()),
  'a way to the broker is half-open': onWay('broker', (way, random) =>
    way.swallow(random.of(['both', 'toServer', 'toClient'] as const)),
  ),
  'a way to the broker is slow': onWay('broker', (way) =>
    way.shape({ latencyMs: 500, jitterMs: 200, bytesPerSecond: 64_000 }),
  ),
  'a way to the database is cut': onWay('database', (way) => way.cut()),
  'a way to the database is half-open': onWay('database', (way) => way.swallow()),
  'a way to the database is slow': onWay('database', (way) => way.shape({ latencyMs: 300, jitterMs: 100 })),
  'the database learns late of a killed worker': async ({ apps, ways, random }, forMs) => {
    const index = random.below(apps.length);
    ways[index]!.database.shape({ closeDelayMs: forMs });
    apps[index]!.crash();
    await pause(forMs);
    ways[index]!.database.mend();
  },
};

/**
 * Makes random faults in random order, under load all the time, and then holds ledger and records against what was
 * accepted, and the use of files, memory and connections against what it was at the start. Never throws.
 *
 * @param seed the same one makes the same faults in the same order.
 */
export function soak(
  stage: Stage,
  minutes: number,
  seed: number,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<Result> {
  const fault: Fault = {
    id: 'F37',
    title: `soak: random faults for ${minutes} minutes, seed ${seed}`,
    promises: 'P1 P3 P15',
    recoveryLimit: 180,
    run: async (scene) => {
      const cast = await givenCast(scene, new Random(seed));
      const load = scene.load(cast.apps[0]!, {
        jobs: UNTIL_STOPPED,
        perSecond: JOBS_PER_SECOND,
      });
      await scene.queuesAreOld();
      await pause(PAUSE_MS.least);
      const before = await usage(cast);
      log(`at the start: ${describe(before)}`);
      await makeFaults(cast, load, Date.now() + minutes * 60_000, log, signal);
      load.stop();
      await load.done;
      await assertFlat(cast, before, log);
      return undefined;
    },
  };
  return play(fault, stage);
}

async function givenCast(scene: Scene, random: Random): Promise<Cast> {
  const ways: Cast['ways'] = [];
  const apps: SceneApp[] = [];
  for (const kind of ['api', 'worker', 'worker'] as const) {
    const [broker, database] = await Promise.all([scene.proxy('broker'), scene.proxy('database')]);
    ways.push({ broker, database });
    apps.push(await scene[kind]({ broker, database, supervised: true }));
  }
  return { scene, apps, ways, random };
}

async function makeFaults(
  cast: Cast,
  load: Load,
  until: number,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { random } = cast;
  while (Date.now() < until && !signal.aborted) {
    const name = random.of(Object.keys(moves));
    const forMs = random.between(FAULT_MS);
    const wait = random.between(PAUSE_MS);
    log(`${load.attempted} posted, ${load.accepted.size} accepted: ${name}, ${(forMs / 1_000).toFixed(1)} s`);
    await moves[name]!(cast, forMs);
    await pause(wait, undefined, { signal }).catch(() => {});
  }
}

function onWay<To extends 'broker' | 'database'>(
  to: To,
  breakIt: (way: Cast['ways'][number][To], random: Random) => void,
): Move {
  return async ({ ways, random }, forMs) => {
    const way = random.of(ways)[to];
    breakIt(way, random);
    await pause(forMs);
    way.mend();
  };
}

async function alarm(scene: Scene, kind: 'memory' | 'disk', forMs: number): Promise<void> {
  await scene.stage.raise(kind);
  await pause(forMs);
  await scene.stage.clear(kind);
}

/** What the apps and the broker hold at the moment. */
interface Usage {
  /** Of each app, in the order in which they were started. */
  files: number[];
  memoryMiB: number[];
  connections: number;
  channels: number;
}

async function usage({ scene, apps }: Cast): Promise<Usage> {
  const list = (what: string) => scene.environment.management<unknown[]>('GET', `/vhosts/{vhost}/${what}`);
  const [files, memoryMiB, connections, channels] = await Promise.all([
    Promise.all(apps.map(({ pid }) => openFiles(pid))),
    Promise.all(apps.map(({ pid }) => residentMiB(pid))),
    list('connections'),
    list('channels'),
  ]);
  return { files, memoryMiB, connections: connections.length, channels: channels.length };
}

/** 0 where the system does not tell, which is everywhere but on Linux. */
async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`).catch(() => [])).length;
}

/** 0 where the system does not tell. */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'VmRSS: 0');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024);
}

/** Waits until everybody is ready again and what they hold is what they held; fails when that does not come. */
async function assertFlat(cast: Cast, before: Usage, log: (line: string) => void): Promise<void> {
  let after: Usage | undefined;
  const isFlat = async () => {
    if ((await Promise.all(cast.apps.map((app) => app.isReady()))).includes(false)) return false;
    after = await usage(cast);
    const { files, memoryMiB, connections, channels } = after;
    return (
      connections === before.connections &&
      channels === before.channels &&
      files.every((count, index) => count <= before.files[index]! + MORE_FILES) &&
      memoryMiB.every((size, index) => size <= before.memoryMiB[index]! + MORE_MEMORY_MIB)
    );
  };
  await cast.scene.until(isFlat, 180_000).catch(() => {
    assert.fail(
      `Not flat. At the start: ${describe(before)}; at the end: ${after ? describe(after) : 'not ready'}`,
    );
  });
  log(`at the end: ${describe(after!)}`);
}

function describe({ files, memoryMiB, connections, channels }: Usage): string {
  return `files ${files.join('/')}, memory ${memoryMiB.join('/')} MiB, ${connections} connections, ${channels} channels`;
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
class Random {
  constructor(private state: number) {}

  /** A number from 0 to 1, without 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  between({ least, most }: { least: number; most: number }): number {
    return least + this.below(most - least);
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}
