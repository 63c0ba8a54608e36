import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from './define-job.js';
import { ContractError } from './errors.js';

const queue = 'invoices';
const payload = z.object({ subject: z.string(), pages: z.number().default(1) });
const result = z.object({ path: z.string() });
const define = (definition: object) => () =>
  defineJob({ name: 'invoice.render', queue, payload, result, ...definition });
const same = (old: unknown) => old;

test('a contract without a version is of version 1, and one with a version has a step from each before', () => {
  expect(define({})()).toMatchObject({ version: 1, upgrade: {}, upgradeResult: undefined, renamedFrom: [] });
  const steps = { 1: same, 2: same };
  const contract = define({ version: 3, upgrade: steps, renamedFrom: 'invoice.print' })();
  expect(contract).toMatchObject({ version: 3, upgrade: steps, renamedFrom: ['invoice.print'] });
});

test.each([
  [{ version: 0 }, 'version must be an integer from 1 to 32767, not 0'],
  [{ version: 32_768 }, 'not 32768'],
  [{ version: 1.5 }, 'not 1.5'],
  [{ version: '2' }, 'not 2'],
  [{ version: 2 }, 'upgrade has no step from version 1 to 2: add upgrade: { 1: (old) => … }'],
  [{ version: 3, upgrade: { 1: same } }, 'upgrade has no step from version 2 to 3'],
  [{ version: 3, upgrade: { 2: same } }, 'upgrade has no step from version 1 to 2'],
  [{ upgrade: { 1: same } }, 'upgrade has a step from version 1, and steps are from versions below 1'],
  [{ version: 2, upgrade: { 1: same, 2: same } }, 'upgrade has a step from version 2'],
  [{ version: 2, upgrade: { 0: same, 1: same } }, 'upgrade has a step from version 0'],
  [{ version: 2, upgrade: { one: same, 1: same } }, 'upgrade has a step from version one'],
  [{ version: 2, upgrade: { 1: 'same' } }, 'upgrade from version 1 must be a function'],
  [
    { version: 3, upgrade: { 1: same, 2: same }, upgradeResult: { 1: same } },
    'upgradeResult has no step from version 2 to 3',
  ],
  [{ renamedFrom: 'Invoice' }, 'renamedFrom must be at most 100 of a-z'],
  [{ renamedFrom: 'queue.invoices.print' }, 'are kept for routing to a queue'],
  [{ renamedFrom: ['invoice.render'] }, 'renamedFrom must name other names, each once'],
  [{ renamedFrom: ['a.b', 'a.b'] }, 'renamedFrom must name other names, each once'],
])('P16: a definition with %j is refused, and the error says why', (definition, message) => {
  expect(define(definition)).toThrow(ContractError);
  expect(define(definition)).toThrow(message);
});

test('each step takes what the one before gave, and the last gives what the schema takes', () => {
  defineJob({
    name: 'invoice.render',
    queue,
    payload,
    version: 3,
    upgrade: {
      1: ({ title, ...old }: { title: string }) => ({ ...old, text: title }),
      2: ({ text }) => ({ subject: text.trim() }),
    },
  });
  defineJob({
    name: 'invoice.render',
    queue,
    payload,
    result,
    version: 2,
    upgrade: { 1: (old) => ({ ...old, subject: old.title }) },
    upgradeResult: { 1: (old) => ({ path: old.file }) },
  });
  const wrong = [
    () =>
      defineJob({
        name: 'invoice.render',
        queue,
        payload,
        version: 2,
        // @ts-expect-error the subject is a string
        upgrade: { 1: () => ({ subject: 5 }) },
      }),
    () =>
      defineJob({
        name: 'invoice.render',
        queue,
        payload,
        version: 3,
        upgrade: {
          1: (old: { title: string }) => ({ text: old.title }),
          // @ts-expect-error the step before gives no title
          2: ({ title }) => ({ subject: title }),
        },
      }),
    () =>
      defineJob({
        name: 'invoice.render',
        queue,
        payload,
        version: 2,
        // @ts-expect-error no step is asynchronous
        upgrade: { 1: async (old: { title: string }) => ({ subject: old.title }) },
      }),
    () =>
      defineJob({
        name: 'invoice.render',
        queue,
        payload,
        result,
        version: 2,
        upgrade: { 1: (old) => old },
        // @ts-expect-error the path is a string
        upgradeResult: { 1: () => ({ path: 1 }) },
      }),
  ];
  expect(wrong).toHaveLength(4);
});
