import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Expectation, Fault } from '../fault.js';
import { UNTIL_STOPPED } from '../load.js';

/** Connections that a process may have: its pool, and the one that shows that it is alive. */
const CONNECTIONS = 8 + 1;

/** Faults of the database, and of the way to it. */
export const databaseFaults: Fault[] = [
  {
    id: 'F8c',
    title: "a worker's connections to the database are half-open for 20 s",
    promises: 'P1 P3',
    async run(scene) {
      const database = await scene.proxy('database');
      const [api] = await Promise.all([scene.api(), scene.worker({ database }), scene.worker()]);
      const load = scene.load(api);
      await load.reaches(500);
      database.swallow();
      await pause(20_000);
      database.mend();
      return undefined;
    },
  },
  {
    id: 'F10',
    title: 'the database takes 2 s for each statement that writes, for 15 s',
    promises: 'P1 P15',
    async run(scene) {
      const { environment } = scene;
      const [api] = await Promise.all([scene.api(), scene.workers(2)]);
      const load = scene.load(api);
      await load.reaches(300);
      await environment.sql(`
        create function slow() returns trigger language plpgsql as
          $$ begin perform pg_sleep(2); return null; end $$`);
      await environment.sql(
        'create trigger slow after insert or update on jobs for each statement execute function slow()',
      );
      await pause(15_000);
      const [connections] = await environment.sql<{ n: number }>(
        `select count(*)::int n from pg_stat_activity where datname = current_database() and application_name = 'warren'`,
      );
      await environment.sql('drop trigger slow on jobs');
      assert(connections!.n <= scene.apps.length * CONNECTIONS, `${connections!.n} connections`);
      return undefined;
    },
  },
  {
    id: 'F10b',
    title: '300 ± 100 ms to the database, at 200 kB/s',
    promises: 'P1 P15',
    async run(scene) {
      const database = await scene.proxy('database');
      const [api] = await Promise.all([scene.api({ database }), scene.worker({ database })]);
      database.shape({ latencyMs: 300, jitterMs: 100, bytesPerSecond: 200_000 });
      await scene.load(api, { jobs: 700, perSecond: 60 }).done;
      return undefined;
    },
  },
  {
    id: 'F11',
    title: 'the database loses power and is back after 6 s',
    promises: 'P1 P2',
    quick: true,
    async run(scene) {
      const [api] = await Promise.all([scene.api(), scene.workers(2)]);
      const load = scene.load(api, { jobs: UNTIL_STOPPED, perSecond: 100 });
      await load.reaches(300);
      await scene.stage.database.kill();
      await pause(6_000);
      assert(!(await api.isReady()), 'The api says that it is ready');
      await scene.stage.database.start();
      await api.becomesReady();
      load.stop();
      await load.done;
      assert.equal(load.hung, 0, 'Requests hung');
      assert.deepEqual([...load.refused.keys()], [503], 'Jobs were not refused with 503');
      return noAttemptUsedUp;
    },
  },
  {
    id: 'F11b',
    title: 'the way to the database is cut for 10 s, for the workers only',
    promises: 'P1 P3',
    async run(scene) {
      const database = await scene.proxy('database');
      const [api] = await Promise.all([scene.api(), scene.workers(2, { database })]);
      const load = scene.load(api, { jobs: UNTIL_STOPPED, perSecond: 100 });
      await load.reaches(300);
      database.cut();
      await pause(10_000);
      database.mend();
      load.stop();
      return undefined;
    },
  },
];

const noAttemptUsedUp: Expectation = (records) => {
  const used = records.filter(({ name, attempt }) => attempt > (name === 'ledger.flaky' ? 2 : 1));
  assert.equal(used.length, 0, `${used.length} jobs used up attempts`);
};
