import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { EARLIER, earlierCommit } from '../earlier.js';
import type { Fault } from '../fault.js';
import { mix, type Posting, UNTIL_STOPPED } from '../load.js';
import type { Scene } from '../scene.js';
import type { SceneApp } from '../scene-app.js';

const NEWEST = 6;
const DEPLOYS = 12;
const SIDE_BY_SIDE_MS = 60_000;

/** Jobs of the version that the api has which they are posted to; every third is followed by one that reads its result. */
const versioned =
  (api: SceneApp) =>
  (n: number): Posting => {
    if (n % 5 === 0) return mix(n);
    const next = { name: 'ledger.following', payload: { n } };
    const payload = { n, version: api.version };
    return { name: 'ledger.versioned', payload, options: n % 3 === 0 ? { next } : undefined };
  };
/** The same, with those whose contract has another name from the second version on. */
const renamed =
  (api: SceneApp) =>
  (n: number): Posting => {
    const name = api.version === 1 || n % 8 === 1 ? 'ledger.before' : 'ledger.after';
    return n % 4 === 1 ? { name, payload: { n } } : versioned(api)(n);
  };

/** Of contracts that every commit has: some are due later, some are followed by another. */
const unversioned = (n: number): Posting => {
  if (n % 7 === 0) return { ...mix(n), options: { delay: '2s' } };
  return n % 7 === 1 ? { ...mix(n), options: { next: { name: 'ledger.write', payload: { n } } } } : mix(n);
};

const deployAll = async (apps: readonly SceneApp[], version: number) => {
  for (const app of apps) await app.deploy(version);
};
/** A load that lasts as long as the deploy, and how it goes on for some jobs more. */
const loadOf = (scene: Scene, api: SceneApp, pick = versioned(api)) => {
  const load = scene.load(api, { jobs: UNTIL_STOPPED, perSecond: 80, pick });
  return { stop: () => load.stop(), more: () => load.reaches(load.attempted + 200) };
};
/** Old workers hold what they do not know. */
const untilHeld = (scene: Scene) =>
  scene.until(async () => {
    const [row] = await scene.environment.sql<{ held: number }>(
      `select count(*)::int as held from jobs where state = 'queued' and publish_at = held_until`,
    );
    return row!.held > 20;
  });
/** Kills one of them now and then, for so long. */
const killAtRandom = async (workers: readonly SceneApp[], forMs: number) => {
  for (const until = Date.now() + forMs; Date.now() < until; ) {
    await pause(1_000 + 3_000 * Math.random());
    workers[Math.floor(workers.length * Math.random())]!.crash();
  }
};

/** Deploys of one app each, in turn, of versions at random. */
const deployAtRandom = async (
  [api, ...workers]: readonly [SceneApp, ...SceneApp[]],
  versions: readonly number[],
  count = DEPLOYS,
) => {
  const apps = [api, ...workers];
  for (let deploys = 0; deploys < count; deploys++) {
    const version = versions[Math.floor(versions.length * Math.random())]!;
    const app = apps[deploys % apps.length]!;
    const others = workers.filter((one) => one !== app);
    await Promise.all([app.deploy(version), killAtRandom(others, 1_000)]);
  }
};

/** Deploys: old and new code beside each other, in whichever order. */
export const deployFaults: Fault[] = [
  {
    id: 'F50',
    title: 'a deploy brings the api first',
    promises: 'P16',
    async run(scene) {
      const [api, ...workers] = [await scene.api(), ...(await scene.workers(2))] as const;
      const load = loadOf(scene, api);
      await load.more();
      await scene.migrate(2);
      await api.deploy(2);
      await load.more();
      await untilHeld(scene);
      await deployAll(workers, 2);
      await load.more();
      load.stop();
      return undefined;
    },
  },
  {
    id: 'F51',
    title: 'a deploy brings the workers first',
    promises: 'P16',
    async run(scene) {
      const [api, ...workers] = [await scene.api(), ...(await scene.workers(2))] as const;
      const load = loadOf(scene, api);
      await load.more();
      await deployAll(workers, 2);
      await load.more();
      await scene.migrate(2);
      await api.deploy(2);
      await load.more();
      load.stop();
      return undefined;
    },
  },
  {
    id: 'F52',
    title: 'the workers go back to the old code while jobs of the new one wait, and forward again',
    promises: 'P16',
    async run(scene) {
      const [api, ...workers] = [
        await scene.api({ version: 2 }),
        ...(await scene.workers(2, { version: 2 })),
      ] as const;
      const load = loadOf(scene, api);
      await load.more();
      await deployAll(workers, 1);
      await load.more();
      await untilHeld(scene);
      await deployAll(workers, 2);
      await load.more();
      load.stop();
      return undefined;
    },
  },
  {
    id: 'F53',
    title: 'two versions of api and workers run side by side for a minute, and workers are killed',
    promises: 'P1 P3 P16',
    async run(scene) {
      const apis = [await scene.api(), await scene.api({ version: 2 })];
      const workers = [
        await scene.worker({ supervised: true }),
        await scene.worker({ supervised: true, version: 2 }),
      ];
      for (const api of apis) scene.load(api, { jobs: UNTIL_STOPPED, perSecond: 50, pick: versioned(api) });
      await killAtRandom(workers, SIDE_BY_SIDE_MS);
      for (const load of scene.loads) load.stop();
      return undefined;
    },
  },
  {
    id: 'F54',
    title: 'a deploy renames a contract, and its former name is still asked for',
    promises: 'P16',
    async run(scene) {
      const [api, ...workers] = [await scene.api(), ...(await scene.workers(2))] as const;
      const load = loadOf(scene, api, renamed(api));
      await load.more();
      await scene.migrate(2);
      await api.deploy(2);
      await load.more();
      await untilHeld(scene);
      await deployAll(workers, 2);
      await load.more();
      load.stop();
      return (records) => {
        for (const name of ['ledger.before', 'ledger.after'])
          assert(records.filter((record) => record.name === name).length > 20, `Hardly a job of ${name} ran`);
      };
    },
  },
  {
    id: 'F56',
    title: 'six versions are deployed forward and back in random order, and workers are killed',
    promises: 'P1 P3 P16',
    recoveryLimit: 120,
    async run(scene) {
      await scene.migrate(NEWEST);
      const apps = [await scene.api(), ...(await scene.workers(2, { supervised: true }))] as const;
      const load = loadOf(scene, apps[0], renamed(apps[0]));
      await deployAtRandom(apps, [1, 2, 3, 4, 5, NEWEST]);
      load.stop();
      await deployAll(apps, NEWEST);
      return undefined;
    },
  },
  {
    id: 'F57',
    title:
      'apps of the commit before the newest migration and of this one take turns, and workers are killed',
    promises: 'P1 P3 P16',
    recoveryLimit: 120,
    bare: true,
    skip: () => (earlierCommit() ? undefined : 'no git history from before the newest migration'),
    async run(scene) {
      await scene.buildEarlier(earlierCommit()!);
      await scene.migrate(EARLIER);
      const options = { version: EARLIER, supervised: true };
      const apps = [await scene.api(options), ...(await scene.workers(2, options))] as const;
      const load = loadOf(scene, apps[0], unversioned);
      await load.more();
      // One comes before its migration and waits for it, while another serves its queues.
      const early = apps[1 + Math.floor(2 * Math.random())]!;
      await early.stop();
      early.version = 1;
      await early.start(false);
      await load.more();
      await scene.migrate(1);
      await load.more();
      await deployAtRandom(apps, [EARLIER, 1], DEPLOYS / 2);
      await scene.migrate(EARLIER);
      await deployAtRandom(apps, [EARLIER, 1], DEPLOYS / 2);
      load.stop();
      return undefined;
    },
  },
];
