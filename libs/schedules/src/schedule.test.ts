import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { defineJob } from '#jobs';
import { defineSchedule, jitterOf } from './schedule.js';

const Note = defineJob({ name: 'note', queue: 'note', payload: z.object({ text: z.string().default('') }) });
const usual = { name: 'note.daily', cron: '@daily', job: Note, payload: {} };

test('the defaults: UTC, once, allow, no jitter', () => {
  expect(defineSchedule(usual)).toMatchObject({
    timeZone: 'UTC',
    missed: 'once',
    overlap: 'allow',
    jitterMs: 0,
  });
});

describe('defineSchedule refuses', () => {
  test.each([
    ['a name with a space', { name: 'every night' }, /\("every night"\): name must be/],
    [
      'an unknown zone',
      { timeZone: 'Mars/Olympus' },
      /\("note.daily"\): timeZone "Mars\/Olympus" is unknown/,
    ],
    ['a wrong expression', { cron: '0 25 * * *' }, /\("note.daily"\): cron "0 25 \* \* \*" cannot be used/],
    ['no contract', { job: undefined }, /job is not a contract/],
    ['a payload that does not fit', { payload: { text: 1 } }, /does not fit note: \/payload\/text/],
    ['a payload that JSON cannot hold', { payload: { text: new Map() } }, /\/payload\/text is of type Map/],
    ['an unknown policy', { missed: 'some' }, /missed must be/],
    ['an unknown overlap', { overlap: 'queue' }, /overlap must be/],
    ['a jitter without a unit', { jitter: '5' }, /"5" is not a valid duration/],
  ])('%s', (_, wrong, message) => {
    expect(() => defineSchedule({ ...usual, ...(wrong as object) })).toThrow(message);
  });
});

test('the payload is what JSON makes of it, and that is what must fit', () => {
  const Moment = defineJob({ name: 'moment', queue: 'note', payload: z.object({ at: z.iso.datetime() }) });
  const { payload } = defineSchedule({ ...usual, job: Moment, payload: { at: new Date(0) as never } });
  expect(payload).toEqual({ at: '1970-01-01T00:00:00.000Z' });
});

test('jitter is the same in every process, differs by tick, and keeps within its bound', () => {
  const schedule = { name: 'note.daily', jitterMs: 60_000 };
  const all = Array.from({ length: 500 }, (_, n) => jitterOf(schedule, new Date(n * 86_400_000)));
  expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...all)).toBeLessThan(60_000);
  expect(new Set(all).size).toBeGreaterThan(450);
  expect(all.slice(0, 2)).toEqual([9_938, 40_665]);
  expect(jitterOf({ name: 'note.daily', jitterMs: 0 }, new Date())).toBe(0);
});
