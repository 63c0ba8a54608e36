import assert from 'node:assert/strict';
import type { Fault } from '../fault.js';
import { readRecords } from '../oracle.js';

const TICKS = 5;

/** Schedules, of a deploy in which old and new code run beside each other. */
export const scheduleFaults: Fault[] = [
  {
    id: 'F55',
    title: 'a schedule of the new code fires while old workers serve its queue, one of which is killed',
    promises: 'P1 P3 P16',
    async run(scene) {
      const api = await scene.api();
      const [first] = await scene.workers(2, { supervised: true });
      const load = scene.load(api);
      await load.reaches(200);
      const ticks = async () => (await readRecords(scene)).filter(({ name }) => name === 'ledger.tick');
      // It fires, and its jobs come to the old workers.
      await scene.worker({ version: 2, settings: { FAULTS_TICKS: 'yes', WORKER_QUEUES: 'slow' } });
      await scene.until(async () => (await ticks()).length >= TICKS);
      first!.crash();
      await load.reaches(700);
      const held = await ticks();
      // What starts last says when schedules fire: from here on no ticks are added.
      await scene.worker({ version: 2 });
      await load.done;
      load.assertNothingRefused();
      return (records) => {
        assert(
          held.every(({ state, attempt }) => (state === 'queued' || state === 'scheduled') && attempt === 0),
          `Old workers did something to jobs of the new code: ${JSON.stringify(held)}`,
        );
        const ended = records.filter(({ name }) => name === 'ledger.tick');
        assert(
          ended.every(({ state, attempt }) => state === 'succeeded' && attempt === 1),
          JSON.stringify(ended),
        );
        const finished = scene.ledger
          .read()
          .filter(({ name, event }) => name === 'ledger.tick' && event === 'finished');
        assert.deepEqual(finished.map(({ job }) => job).sort(), ended.map(({ id }) => id).sort());
      };
    },
  },
];
