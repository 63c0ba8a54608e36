import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob, type Steps, secret } from '#define-job';
import { Contracts } from './contracts.js';
import { shownPayload } from './shown-payload.js';
import { UpgradeError, upgraded, upgradedPrevious } from './upgrade.js';

const payload = z.object({ subject: z.string(), when: z.coerce.date().optional() });
const given = (upgrade: Steps, rest: object = {}) =>
  defineJob({ name: 'invoice.render', queue: 'invoices', payload, version: 3, upgrade, ...rest } as never);
const Invoice = given({
  1: ({ title }) => ({ text: title }),
  2: ({ text }) => ({ subject: text, when: new Date(0) }),
});

const fine = (old: unknown) => old;

test('P16: a payload goes through each step from its version on, and is JSON that fits', () => {
  const when = '1970-01-01T00:00:00.000Z';
  expect(upgraded(Invoice, 'payload', { title: 'a' }, 1)).toEqual({ subject: 'a', when });
  expect(upgraded(Invoice, 'payload', { text: 'a' }, 2)).toEqual({ subject: 'a', when });
  const current = { subject: 'a' };
  expect(upgraded(Invoice, 'payload', current, 3)).toBe(current);
  expect(upgraded(Invoice, 'payload', current, 4)).toBe(current);
});

test('a step may change what it is given', () => {
  const careless = given({
    1: (old) => old,
    2: (old) => {
      old.subject = old.title;
      delete old.title;
      return old;
    },
  });
  const original = { title: 'a' };
  expect(upgraded(careless, 'payload', original, 1)).toEqual({ subject: 'a' });
  expect(original).toEqual({ title: 'a' });
});

test.each<[string, Steps, string]>([
  [
    'throws',
    { 1: (old) => old.no.where, 2: fine },
    "upgrade from version 1 to 2 threw TypeError: Cannot read properties of undefined (reading 'where')",
  ],
  [
    'throws nothing',
    {
      1: fine,
      2: () => {
        throw undefined;
      },
    },
    'upgrade from version 2 to 3 threw',
  ],
  [
    'is asynchronous',
    { 1: async () => Promise.reject(new Error('late')), 2: fine },
    'upgrade from version 1 to 2 gave a promise',
  ],
  ['gives nothing', { 1: fine, 2: () => undefined }, 'upgrade from version 2 to 3 gave what does not fit'],
  [
    'gives what does not fit',
    { 1: fine, 2: () => ({ subject: 1 }) },
    'upgrade from version 2 to 3 gave what does not fit: The payload does not fit invoice.render: /payload/subject: Invalid input',
  ],
  [
    'gives what JSON cannot hold',
    { 1: fine, 2: () => ({ subject: 'a', of: new Map() }) },
    'upgrade from version 2 to 3 gave what JSON cannot hold: /payload/of is of type Map',
  ],
])('P16: the error says which step %s', (_, upgrade, message) => {
  const upgrading = () => upgraded(given(upgrade), 'payload', {}, 1);
  expect(upgrading).toThrow(UpgradeError);
  expect(upgrading).toThrow(message);
});

test('P16: a result that is handed on is upgraded, and the counts of a batch are not', () => {
  const result = z.object({ path: z.string() });
  const contracts = new Contracts([
    given(Invoice.upgrade, {
      result,
      upgradeResult: { 1: fine, 2: (old: { file: string }) => ({ path: old.file }) },
    }),
  ]);
  const previous = { id: '1', name: 'invoice.render', result: { file: 'a.pdf' }, version: 1 };
  const lifted = { ...previous, result: { path: 'a.pdf' }, version: 3 };
  expect(upgradedPrevious(previous, contracts)).toEqual(lifted);
  expect(upgradedPrevious({ ...previous, version: 2 }, contracts)).toEqual(lifted);
  for (const other of [{ version: 3 }, { version: 4 }, { version: undefined }, { name: 'not.known' }])
    expect(upgradedPrevious({ ...previous, ...other }, contracts)).toEqual({ ...previous, ...other });
  expect(upgradedPrevious(previous, new Contracts([Invoice]))).toEqual({ ...previous, version: 3 });
  expect(() => upgradedPrevious({ ...previous, result: {} }, contracts)).toThrow(
    'upgradeResult from version 2 to 3 gave what does not fit: The result does not fit',
  );
});

test('a payload of another version shows no secret: not in its old place, nor when it cannot be upgraded', () => {
  const marked = z.object({ password2: z.string(), pin: secret(z.number()), note: secret(z.string()) });
  const upgrade: Steps = { 1: ({ memo, code }) => ({ password2: 'abcd', note: memo, pin: code }) };
  const Marked = given(upgrade, { payload: marked, version: 2 });
  const original = { memo: 'hunter2', code: 123456, list: ['is hunter2', 5], password: 'abcd' };
  expect(shownPayload({ payload: original, version: 1 }, Marked)).toEqual({
    payload: { memo: '[redacted]', code: '[redacted]', list: ['is [redacted]', 5], password: '[redacted]' },
    upgradedPayload: { password2: 'abcd', note: '[redacted]', pin: '[redacted]' },
  });
  for (const version of [1, 3])
    expect(shownPayload({ payload: { memo: 5 }, version }, Marked)).toEqual({ payload: '[redacted]' });
  expect(shownPayload({ payload: { memo: 5, token: 'x' }, version: 4 }, Invoice)).toEqual({
    payload: { memo: 5, token: '[redacted]' },
  });

  const Quoting = given(
    {
      1: ({ memo }) => {
        throw new Error(`cannot read ${memo}`);
      },
    },
    { payload: marked, version: 2 },
  );
  const upgrading = () => upgraded(Quoting, 'payload', { memo: 'hunter2' }, 1);
  expect(upgrading).toThrow(/^invoice\.render: upgrade from version 1 to 2 threw Error$/);
});
