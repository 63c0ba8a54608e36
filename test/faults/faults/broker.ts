import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { root } from '#testing/services';
import type { Fault } from '../fault.js';
import { type Load, type LoadOptions, mix, UNTIL_STOPPED } from '../load.js';
import type { Scene } from '../scene.js';
import type { Alarm } from '../stage.js';

/** The operator's command line, `npm run jobs -- …`. */
const OPERATOR = 'dist/apps/cli/main.js';
/** How soon consumers must be attached again once the broker is back. */
const REATTACH_LIMIT_MS = 15_000;

/** Faults of a single broker. */
export const brokerFaults: Fault[] = [
  {
    id: 'F2',
    title: 'the broker is killed with kill -9 and started again after 3 s',
    promises: 'P1 P2',
    quick: true,
    async run(scene) {
      const load = await givenLoadOn(scene, { jobs: UNTIL_STOPPED, perSecond: 100 });
      await load.reaches(300);
      await scene.stage.broker.stop('SIGKILL');
      await pause(3_000);
      await scene.stage.broker.start();
      load.stop();
      await load.done;
      load.assertNothingRefused();
      return undefined;
    },
  },
  {
    id: 'F3',
    title: 'the broker is restarted in good order, three times',
    promises: 'P1 P2',
    async run(scene) {
      const load = await givenLoadOn(scene, { jobs: UNTIL_STOPPED, perSecond: 80 });
      for (let restarts = 0; restarts < 3; restarts++) {
        await pause(1_000);
        await scene.stage.broker.stop('SIGTERM');
        await scene.stage.broker.start();
        await scene.until(async () => {
          const counts = await Promise.all(['slow', 'ledger'].map(scene.environment.countConsumers));
          return counts.every((count) => count === 2);
        }, REATTACH_LIMIT_MS);
      }
      load.stop();
      await load.done;
      load.assertNothingRefused();
      return undefined;
    },
  },
  {
    id: 'F4',
    title: 'the broker is down when api and workers start, and comes up 10 s later',
    promises: 'P2',
    async run(scene) {
      await scene.queuesAreOld();
      await scene.stage.broker.stop('SIGKILL');
      const [api, worker] = await Promise.all([scene.api(), scene.worker({ unready: true })]);
      const load = scene.load(api);
      await load.done;
      assert.equal(load.accepted.size, load.attempted, 'Jobs were refused while no broker answered');
      await scene.until(() => worker.isLive());
      assert(!(await worker.isReady()), 'The worker says that it is ready');
      await scene.stage.broker.start();
      await worker.becomesReady();
      return undefined;
    },
  },
  ...(['memory', 'disk'] as const).map(
    (alarm): Fault => ({
      id: alarm === 'memory' ? 'F5' : 'F6',
      title: `${alarm} alarm for 8 s`,
      promises: 'P2 P15',
      quick: alarm === 'memory',
      async run(scene) {
        const load = await givenLoadOn(scene, { jobs: UNTIL_STOPPED, perSecond: 100 });
        await load.reaches(200);
        await during(scene, alarm, () => pause(8_000));
        load.stop();
        await load.done;
        const api = scene.apps.find(({ kind }) => kind === 'api');
        assert(/blocked the publishing connection/.test(api!.output), 'The api was not told of the alarm');
        load.assertNothingRefused();
        return undefined;
      },
    }),
  ),
  {
    id: 'F7',
    title: 'a backlog is worked off while the memory alarm is on',
    promises: 'P15',
    async run(scene) {
      const api = await scene.api();
      const load = scene.load(api, { perSecond: 400 });
      await load.done;
      await scene.until(async () => (await scene.environment.countReady('ledger')) > 800);
      await during(scene, 'memory', async () => {
        await scene.worker();
        await scene.until(async () => {
          const [done] = await scene.environment.sql<{ n: number }>(
            `select count(*)::int n from jobs where state = 'succeeded'`,
          );
          // Those that failed once wait for their retry, which cannot be published.
          return done!.n >= 950;
        });
      });
      return undefined;
    },
  },
  {
    id: 'F22',
    title: 'a queue is deleted under its consumers, and declared again by `npm run migrate`',
    promises: 'P1',
    async run(scene) {
      const api = await scene.api();
      const [worker] = await scene.workers(2);
      await scene.environment.management('DELETE', '/queues/{vhost}/ledger');
      await scene.until(async () => !(await worker!.isReady()));
      await scene.run('dist/scripts/migrate.js');
      await worker!.becomesReady();
      scene.load(api);
      return undefined;
    },
  },
  ...([false, true] as const).map(
    (withRetries): Fault => ({
      id: withRetries ? 'F26a' : 'F26',
      title: withRetries
        ? 'the exchange is deleted while jobs wait in retry queues, whose target is then missing'
        : 'the exchange is deleted under load, and declared again by `npm run migrate`',
      promises: 'P1',
      quick: !withRetries,
      // The broker tries a dead-letter target that was missing again after 180 s.
      recoveryLimit: withRetries ? 240 : undefined,
      async run(scene) {
        const load = await givenLoadOn(scene, { pick: withRetries ? mix : withoutRetries });
        await load.reaches(300);
        await scene.environment.management('DELETE', '/exchanges/{vhost}/jobs');
        await load.reaches(700);
        await scene.run('dist/scripts/migrate.js');
        await load.done;
        load.assertNothingRefused();
        return undefined;
      },
    }),
  ),
  {
    id: 'F26b',
    title: 'a queue loses its bindings under load: its jobs are unroutable until `npm run migrate`',
    promises: 'P1',
    async run(scene) {
      const load = await givenLoadOn(scene);
      await load.reaches(300);
      await scene.environment.management('DELETE', '/bindings/{vhost}/e/jobs/q/ledger/ledger.write');
      await load.reaches(700);
      await scene.run('dist/scripts/migrate.js');
      await load.done;
      load.assertNothingRefused();
      return undefined;
    },
  },
  {
    id: 'F26c',
    title: 'a queue is full and refuses what is published (a policy of at most 200)',
    promises: 'P1 P15',
    // What is refused is published again when the lease of its relay is over, after 15 s, as much as the queue takes.
    recoveryLimit: 180,
    async run(scene) {
      await scene.environment.management('PUT', '/policies/{vhost}/full', {
        pattern: '^ledger$',
        definition: { 'max-length': 200 },
        'apply-to': 'queues',
      });
      const api = await scene.api();
      const load = scene.load(api, { perSecond: 400, pick: withoutRetries });
      await load.done;
      load.assertNothingRefused();
      await scene.worker();
      return undefined;
    },
  },
  {
    id: 'F39',
    title: 'the broker loses its disk with jobs in all its queues; then migrate and `jobs rebuild`',
    promises: 'P1',
    skip: () => (existsSync(join(root, OPERATOR)) ? undefined : 'there is no `jobs rebuild` yet'),
    async run(scene) {
      const api = await scene.api();
      const worker = await scene.worker();
      const load = scene.load(api);
      await load.reaches(500);
      await worker.stop();
      await load.done;
      const { broker } = scene.stage;
      await broker.stop('SIGKILL');
      await broker.wipe();
      await broker.start();
      await scene.environment.createVhost();
      await scene.run('dist/scripts/migrate.js');
      await scene.run(OPERATOR, ['rebuild']);
      await worker.start();
      return undefined;
    },
  },
];

/** A retry that finds no room or no queue after its delay is tried again by the broker 180 s later; F26a waits for that. */
const withoutRetries = (n: number) => mix(n % 20 === 0 ? n + 10 : n);

async function givenLoadOn(scene: Scene, options: Partial<LoadOptions> = {}): Promise<Load> {
  const [api] = await Promise.all([scene.api(), scene.workers(2)]);
  const load = scene.load(api, options);
  await scene.queuesAreOld();
  return load;
}

async function during(scene: Scene, alarm: Alarm, task: () => Promise<unknown>): Promise<void> {
  await scene.stage.raise(alarm);
  await task();
  await scene.stage.clear(alarm);
}

/** P2: what becomes of the broker is no reason to refuse a job, or to let a client wait. */
