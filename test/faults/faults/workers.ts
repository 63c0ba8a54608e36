import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from '../fault.js';
import type { LedgerEntry } from '../ledger.js';
import { mix, UNTIL_STOPPED } from '../load.js';
import type { SceneAppOptions } from '../scene.js';

/** P4: how soon a job whose worker was killed must run again elsewhere. */
const TAKEOVER_LIMIT_MS = 10_000;
/** A process that was told to stop has stopped by then. */
const STANDSTILL_MS = 20;
/** P7: how often a job may take its worker with it. */
const TAKEOVERS = 3;
const CRASHES = [
  ['exit', 'F20', 'ends its worker'],
  ['memory', 'F20b', "exhausts its worker's memory"],
  ['rejection', 'F20c', 'leaves a promise that rejects'],
] as const;

/** Faults of processes: killed, stopped, blocked, with a wrong clock. */
export const workerFaults: Fault[] = [
  {
    id: 'F1',
    title: 'a worker is killed with kill -9',
    promises: 'P1 P3 P4',
    quick: true,
    async run(scene) {
      const api = await scene.api();
      const [first] = await scene.workers(2);
      const load = scene.load(api);
      await load.reaches(500);
      const inFlight = () => openRuns(scene.ledger.read(), first!.pid);
      // It is held still first: what it has in flight now, it has when it is killed.
      await scene.until(async () => {
        first!.signal('SIGSTOP');
        await pause(STANDSTILL_MS);
        if (inFlight().length > 0) return true;
        first!.signal('SIGCONT');
        return false;
      });
      await first!.kill();
      const killedAt = Date.now();
      const interrupted = inFlight();
      return () => {
        assert(interrupted.length > 0, 'The worker that was killed had no job in flight');
        const ledger = scene.ledger.read();
        for (const { job, attempt, pid } of interrupted) {
          const again = ledger.find(
            (entry) => entry.job === job && entry.attempt === attempt && entry.pid !== pid,
          );
          assert(again, `${job} did not run again`);
          assert(again.at - killedAt < TAKEOVER_LIMIT_MS, `${job} ran again after ${again.at - killedAt} ms`);
        }
      };
    },
  },
  {
    id: 'F1b',
    title: 'a worker is killed and the database learns of it 8 s later, as from a machine that vanished',
    promises: 'P1 P3',
    async run(scene) {
      const database = await scene.proxy('database');
      const [api] = await Promise.all([scene.api(), scene.worker()]);
      const first = await scene.worker({ database });
      const load = scene.load(api);
      await load.reaches(500);
      database.shape({ closeDelayMs: 8_000 });
      await first.kill();
      return undefined;
    },
  },
  {
    id: 'F12',
    title: 'two workers are killed ten times at random moments: also between commit and acknowledgement',
    promises: 'P1 P3',
    async run(scene) {
      const api = await scene.api();
      const workers = await scene.workers(2, { supervised: true });
      const load = scene.load(api, { jobs: 1_500, perSecond: 120 });
      await load.reaches(150);
      for (let kills = 0; kills < 10; kills++) {
        await pause(200 + 1_000 * Math.random());
        workers[kills % 2]!.crash();
      }
      return undefined;
    },
  },
  {
    id: 'F12a',
    title: 'the api is killed with kill -9, and started again',
    promises: 'P1',
    async run(scene) {
      const [api] = await Promise.all([scene.api(), scene.worker()]);
      const load = scene.load(api, { jobs: UNTIL_STOPPED });
      await load.reaches(400);
      await api.kill();
      await api.start();
      await load.reaches(load.attempted + 400);
      load.stop();
      return undefined;
    },
  },
  {
    id: 'F19',
    title: "a handler blocks its worker's event loop for 75 s, past the heartbeat",
    promises: 'P3',
    async run(scene) {
      const [api] = await Promise.all([scene.api(), scene.workers(2)]);
      const block = { name: 'ledger.block', payload: { n: 0, ms: 75_000 } };
      const load = scene.load(api, { pick: (n) => (n === 0 ? block : mix(n)) });
      await load.done;
      await scene.until(
        () => scene.ledger.read().some(({ name, event }) => name === 'ledger.block' && event === 'finished'),
        120_000,
      );
      return (records) => {
        const record = records.find(({ name }) => name === 'ledger.block');
        assert.deepEqual(
          record && [record.attempt, record.attempts],
          [1, []],
          'Other attempts than one were recorded of the job that blocked',
        );
      };
    },
  },
  ...CRASHES.map(
    ([how, id, what]): Fault => ({
      id,
      title: `a job ${what} each time; its neighbours go on`,
      promises: 'P7',
      async run(scene) {
        const api = await scene.api();
        await scene.workers(2, { supervised: true, nodeOptions: ['--max-old-space-size=96'] });
        const crash = { name: 'ledger.crash', payload: { n: 100, how } };
        scene.load(api, { pick: (n) => (n === 100 ? crash : mix(n)) });
        return (records) => {
          const crashed = records.find(({ name }) => name === 'ledger.crash');
          const outcomes = crashed?.attempts.map(({ outcome }) => outcome) ?? [];
          assert.equal(outcomes.filter((outcome) => outcome === 'crashed').length, TAKEOVERS);
          assert.equal(crashed?.attempts.at(-1)?.error?.class, 'CrashedError');
        };
      },
    }),
  ),
  {
    id: 'F30',
    title: 'a worker gets SIGTERM twice in the middle of its jobs',
    promises: 'P8',
    async run(scene) {
      const api = await scene.api();
      const [first] = await scene.workers(2);
      const load = scene.load(api);
      await load.reaches(500);
      first!.signal('SIGTERM');
      await pause(50);
      assert.equal(await first!.stop('SIGTERM'), 0, 'The worker did not exit with 0');
      return (records) => {
        const lost = records.filter(({ attempts }) => attempts.some(({ outcome }) => outcome === 'crashed'));
        assert.equal(lost.length, 0, 'Jobs were lost with a worker that was told to stop');
      };
    },
  },
  {
    id: 'F31',
    title: 'a worker gets SIGTERM while a job never ends and ignores its signal',
    promises: 'P8',
    async run(scene) {
      const settings = { FAULTS_ENDLESS: 'true', SHUTDOWN_GRACE: '2s' };
      const [api, first] = await Promise.all([scene.api(), scene.worker({ settings })]);
      const endless = { name: 'ledger.endless', payload: { n: 0 } };
      const load = scene.load(api, { pick: (n) => (n === 0 ? endless : mix(n)) });
      await scene.until(() => scene.ledger.read().some(({ name }) => name === 'ledger.endless'));
      await scene.worker();
      await load.reaches(500);
      const toldAt = Date.now();
      assert.equal(await first.stop('SIGTERM'), 0, 'The worker did not exit with 0');
      assert(Date.now() - toldAt < 10_000, `The worker took ${Date.now() - toldAt} ms to end`);
      return (records) => {
        const record = records.find(({ name }) => name === 'ledger.endless');
        assert.deepEqual(record && [record.attempt, record.attempts], [1, []], 'An attempt was used up');
      };
    },
  },
  {
    id: 'F32',
    title: 'the clock of the api is an hour ahead, that of one worker an hour behind',
    promises: 'P1 P3 P5',
    quick: true,
    async run(scene) {
      const [api] = await Promise.all([
        scene.api(withClockOff(3_600_000)),
        scene.worker(withClockOff(-3_600_000)),
        scene.worker(),
      ]);
      const pick = (n: number) => (n % 10 === 5 ? { ...mix(n), options: { delay: '2s' } } : mix(n));
      scene.load(api, { pick });
      return (records) => {
        for (const { id, payload, createdAt, startedAt } of records) {
          if (payload.n % 10 !== 5) continue;
          const waited = (startedAt ?? 0) - createdAt;
          assert(waited >= 2_000 && waited < 15_000, `${id}, delayed by 2 s, started after ${waited} ms`);
        }
      };
    },
  },
  {
    id: 'F34',
    title: 'two relays work through a backlog in the outbox, and are killed at random moments',
    promises: 'P1 P2',
    quick: true,
    // A relay that dies with a batch delays its jobs by the lease of 15 s.
    recoveryLimit: 90,
    async run(scene) {
      const broker = await scene.proxy('broker');
      const api = await scene.api({ broker });
      broker.cut();
      const load = scene.load(api, {
        perSecond: 400,
        pick: (n) => ({ name: 'ledger.write', payload: { n } }),
      });
      await load.done;
      assert.equal(load.accepted.size, 1_000, 'Jobs were refused while no broker answered');
      const workers = await scene.workers(2, { supervised: true, unready: true });
      for (const worker of [...workers, ...workers]) {
        await scene.until(() => worker.isReady());
        await pause(300 * Math.random());
        worker.crash();
      }
      return undefined;
    },
  },
];

const withClockOff = (ms: number): SceneAppOptions => ({
  settings: { FAULTS_CLOCK_MS: String(ms) },
  nodeOptions: ['--import', './dist/test/faults/clock.js'],
});

/** Runs of a process that have started and not ended. */
function openRuns(ledger: readonly LedgerEntry[], pid: number): LedgerEntry[] {
  const ended = new Set(
    ledger.filter(({ event }) => event !== 'started').map(({ job, attempt }) => `${job}/${attempt}`),
  );
  return ledger.filter(
    (entry) =>
      entry.pid === pid &&
      entry.event === 'started' &&
      entry.name === 'ledger.slow' &&
      !ended.has(`${entry.job}/${entry.attempt}`),
  );
}
