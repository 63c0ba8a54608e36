import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canHaveRabbitmq } from '../../scripts/services/rabbitmq-package.js';
import { givenAppsWith } from '../support/apps-with.js';
import { play } from './fault.js';
import { allFaults } from './faults/index.js';
import { Stage } from './stage.js';

/** The quick ones of the fault suite; `npm run test:faults` runs them all. */
const quick = allFaults.filter((fault) => fault.quick).map((fault) => ({ ...fault, fault }));

// A broker in a container could not be killed by the id of its process.
const available = await canHaveRabbitmq();
if (!available)
  console.warn('The faults are skipped: install rabbitmq-server on this machine to have them run');

let stage: Stage | undefined;
beforeAll(async () => {
  await givenAppsWith('faults');
  if (available) stage = await Stage.open(1, (line) => console.warn(line));
}, 300_000);
afterAll(() => stage?.close());

(available ? test : test.skip).each(quick)(
  '$promises, $id: $title',
  async ({ fault }) => {
    const { problems, remarks } = await play(fault, stage!);
    expect({ problems, remarks }).toEqual({ problems: [], remarks });
  },
  300_000,
);
