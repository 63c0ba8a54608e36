import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Direction } from '../../support/proxy.js';
import type { Fault } from '../fault.js';
import { mix } from '../load.js';

/** Faults of the network between an app and the broker. */
export const networkFaults: Fault[] = [
  ...(['both', 'toServer'] as (Direction | 'both')[]).map(
    (direction): Fault => ({
      id: direction === 'both' ? 'F8' : 'F8b',
      title:
        direction === 'both'
          ? "a worker's connection to the broker is half-open: nothing comes through, nobody is told"
          : 'what a worker sends to the broker is lost, what the broker sends arrives',
      promises: 'P1 P3',
      async run(scene) {
        const broker = await scene.proxy('broker');
        const [api, cutOff] = await Promise.all([scene.api(), scene.worker({ broker }), scene.worker()]);
        const load = scene.load(api);
        await load.reaches(500);
        broker.swallow(direction);
        // Found out by a heartbeat of 30 s that stays away twice.
        await scene.until(async () => !(await cutOff.isReady()), 110_000);
        broker.mend();
        await cutOff.becomesReady();
        return undefined;
      },
    }),
  ),
  {
    id: 'F9',
    title: '500 ± 200 ms to the broker, at 64 kB/s',
    promises: 'P1',
    async run(scene) {
      const broker = await scene.proxy('broker');
      const [api, worker] = await Promise.all([scene.api({ broker }), scene.worker({ broker })]);
      broker.shape({ latencyMs: 500, jitterMs: 200, bytesPerSecond: 64_000 });
      const load = scene.load(api, { perSecond: 60 });
      await load.done;
      for (const app of [api, worker]) {
        assert(
          !/Lost the \w+ connection/.test(app.output),
          `The ${app.kind} gave up a connection that was slow`,
        );
      }
      load.assertNothingRefused();
      return undefined;
    },
  },
  {
    id: 'F27',
    title: 'confirms are lost: the broker has the messages and the api is not told',
    promises: 'P1 P3',
    async run(scene) {
      const broker = await scene.proxy('broker');
      const [api] = await Promise.all([scene.api({ broker }), scene.workers(2)]);
      const load = scene.load(api, { perSecond: 250 });
      await load.reaches(200);
      broker.swallow('toClient');
      await load.reaches(800);
      await pause(500);
      broker.cut();
      broker.mend();
      return undefined;
    },
  },
  {
    id: 'F27b',
    title: 'two workers, one of them cut off from the broker while it runs its jobs',
    promises: 'P3',
    async run(scene) {
      const broker = await scene.proxy('broker');
      const [api] = await Promise.all([scene.api(), scene.worker({ broker }), scene.worker()]);
      const slow = (n: number) => ({ name: 'ledger.slow', payload: { n, ms: 8_000 } });
      const load = scene.load(api, { pick: (n) => (n < 20 ? slow(n) : mix(n)) });
      await scene.until(() => scene.ledger.read().filter(({ name }) => name === 'ledger.slow').length >= 20);
      broker.cut();
      await load.done;
      broker.mend();
      return (records) => {
        const lost = records.filter(({ attempts }) => attempts.some(({ outcome }) => outcome === 'crashed'));
        assert.equal(lost.length, 0, 'A worker that still ran its jobs was taken for dead');
      };
    },
  },
];
