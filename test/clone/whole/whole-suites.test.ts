import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { root } from '#testing/services';
import { readParts } from '../../../scripts/remove.js';
import { type Clone, givenClone } from '../../support/clone.js';
import { addOwnCode } from '../../support/own-code.js';

/** `npm run test:clones -- -t "own code"`: what people make of a clone. Its whole suite takes some 15 minutes each time. */

let clone: Clone;
afterEach(() => clone?.close());

const parts = [...readParts(readFileSync(join(root, 'docs/removing.md'), 'utf8')).keys()];
const remove = (...names: string[]) => clone.succeed(['dist/scripts/remove.js', ...names]);
const generate = (kind: string, name: string) => clone.succeed(['dist/scripts/generate.js', kind, name]);
const init = (...options: string[]) =>
  clone.succeed(['dist/scripts/init.js', `z${randomBytes(4).toString('hex')}`, ...options]);

test.each<[string, () => Promise<unknown>]>([
  [
    'with own code and a name',
    async () => {
      // As the guide has it.
      await generate('handler', 'invoice.render');
      await generate('handler', 'trial.roast');
      await addOwnCode(clone);
      await init();
    },
  ],
  ['with a name and without examples', () => init('--without-examples')],
  ['without anything that can go', () => remove(...parts)],
  ...parts.map((part) => [`without ${part}`, () => remove(part)] as [string, () => Promise<unknown>]),
])(
  'all tests pass in a clone %s',
  async (_, change) => {
    clone = await givenClone();
    await change();
    await clone.lint();
    await clone.build();
    await clone.succeed(['node_modules/typescript/bin/tsc', '-p', 'test/faults']);
    for (const script of ['settings', 'describe']) await clone.succeed([`dist/scripts/${script}.js`]);
    expect(await clone.test()).toContain('Ran all test suites');
  },
  3_600_000,
);
